from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnas.errors import DataError
from mnas.evaluate.data import Source, Split, adapt, dataset
from mnas.evaluate.data.resizing import resize
from mnas.evaluate.data.splits import cut
from mnas.ir import Shape

SIZES = st.integers(2, 20)  # torch 2.13 enlarges maps of width 1 wrongly


@given(before=st.tuples(SIZES, SIZES), after=st.tuples(SIZES, SIZES), c=st.sampled_from((1, 3)))
def test_resizing_is_torchs_bilinear(before: tuple[int, int], after: tuple[int, int], c: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, c, *before)).astype(np.uint8)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(images).double(), after, mode="bilinear", align_corners=False, antialias=True
    )
    np.testing.assert_allclose(resize(images, *after), expected.numpy(), atol=0.51)


def test_grey_images_are_repeated_and_resized() -> None:
    data = dataset("digits")
    fitting = adapt(data, Shape(3, 12, 10))
    assert fitting.shape == Shape(3, 12, 10)
    assert fitting.mean == data.mean * 3
    assert fitting.std == data.std * 3
    for split in (fitting.train, fitting.validation, fitting.test):
        assert (split.images[:, 0] == split.images[:, 2]).all()
    np.testing.assert_array_equal(fitting.test.labels, data.test.labels)
    assert adapt(data, Shape(3, 12, 10)).train is fitting.train
    assert adapt(data, data.shape) is data


def test_search_data_stays_search_data() -> None:
    seen = adapt(dataset("digits").for_search(), Shape(1, 10, 10))
    assert seen.shape == Shape(1, 10, 10)
    assert not hasattr(seen, "test")


def test_what_cannot_be_made_is_refused() -> None:
    colour = cut("own", Source(Split(np.zeros((9, 3, 4, 4), np.uint8), np.zeros(9, np.int64))))
    with pytest.raises(DataError, match="images of own are 3x4x4, the network reads 1x4x4"):
        adapt(colour, Shape(1, 4, 4))
    with pytest.raises(DataError, match="GiB of memory"):
        adapt(colour, Shape(3, 60000, 60000))
