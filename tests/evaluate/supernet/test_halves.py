"""The images of a search by gradients, cut in two."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mnas.errors import DataError
from mnas.evaluate import SearchData, Split
from mnas.evaluate.supernet import Halves
from mnas.ir import Shape


def numbered(n: int) -> SearchData:
    """Image i is of brightness i, label i."""
    split = Split(np.arange(n, dtype=np.uint8).repeat(16).reshape(n, 1, 4, 4), np.arange(n))
    return SearchData("numbered", split, split, tuple(map(str, range(n))), (0.5,), (0.5,))


def test_halves_are_apart_and_an_epoch_sees_an_image_once() -> None:
    halves = Halves(numbered(50), Shape(1, 4, 4), images=43, batch=6)
    assert (halves.steps, halves.images) == (3, 42)
    pairs = list(halves.pairs(np.random.default_rng(0)))
    training, validation = (torch.cat([pair[i].labels for pair in pairs]).tolist() for i in range(2))
    assert len(set(training)) == len(set(validation)) == 18
    assert max(training) < 21 <= min(validation)
    assert max(validation) < 42
    again = list(halves.pairs(np.random.default_rng(0)))
    other = list(halves.pairs(np.random.default_rng(1)))
    assert torch.equal(again[0][1].labels, pairs[0][1].labels)
    assert not torch.equal(other[0][1].labels, pairs[0][1].labels)
    assert halves.first().labels.tolist() == list(range(21, 27))


def test_images_are_normalised_resized_and_channels_last() -> None:
    halves = Halves(numbered(8), Shape(3, 8, 8), images=8, batch=2)
    images = halves.first().images
    assert images.shape == (2, 3, 8, 8)
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert images[0].mean() == pytest.approx((4 / 255 - 0.5) / 0.5, abs=1e-4)


def test_too_few() -> None:
    with pytest.raises(DataError, match="numbered has 20 training images, halves of 10: too few for batches of 11"):
        Halves(numbered(20), Shape(1, 4, 4), images=100, batch=11)
