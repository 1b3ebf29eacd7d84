from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mnas.errors import ConfigError, DataError
from mnas.evaluate import Recipe, Split, dataset, train
from mnas.ir import Architecture

SMALL = Architecture.parse("input 1x8x8\nconv_c12\nmbconv_c16_s2_e3\nhead_c32_n10")


def test_training_scores_both_splits() -> None:
    told: list[int] = []
    network = train(
        SMALL, "digits", recipe=Recipe(4, 32), seed=1, progress=lambda done, total, note: told.append(total)
    )
    assert network.validation_accuracy is not None
    assert network.test_accuracy is not None
    assert network.validation_accuracy > 0.9
    assert network.test_accuracy > 0.9
    assert network.recipe == Recipe(epochs=4, batch=32, lr=0.1, weight_decay=5e-4)
    assert network.architecture == SMALL
    assert (network.dataset, network.images, network.seed, len(network.history)) == ("digits", 1151, 1, 4)
    assert network.classes == tuple("0123456789")
    assert told == [4 * (1151 // 32)] * len(told)
    assert len(told) == told[0]


def test_the_same_seed_gives_the_same_network() -> None:
    one, two, other = (train(SMALL, "digits", epochs=1, images=96, seed=seed) for seed in (0, 0, 1))
    assert all((one.weights[key] == two.weights[key]).all() for key in one.weights)
    assert any((one.weights[key] != other.weights[key]).any() for key in one.weights)
    assert one.test_accuracy == two.test_accuracy


def test_epochs_replace_those_of_the_recipe() -> None:
    assert Recipe() == Recipe(epochs=20, batch=64, lr=0.1, weight_decay=5e-4)
    assert train(SMALL, "digits", epochs=1, images=64).recipe == replace(Recipe(), epochs=1)
    given = Recipe(2, 32, label_smoothing=0.1)
    assert train(SMALL, "digits", epochs=1, recipe=given, images=64).recipe == replace(given, epochs=1)
    assert len(train(SMALL, "digits", recipe=given, images=64).history) == 2


def test_images_are_brought_to_the_networks_input() -> None:
    wide = Architecture.parse("input 3x12x10\nconv_c8_s2\nhead_c16_n10")
    data = dataset("digits")
    network = train(wide, data, epochs=1, images=64)
    assert network.mean == data.mean * 3
    assert network.images == 64


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="gives 7x1x1, but digits has 10 classes"):
        train(Architecture.parse("input 1x8x8\nhead_c16_n7"), "digits", epochs=1)
    with pytest.raises(ConfigError, match="images must be at least 2"):
        train(SMALL, "digits", epochs=1, images=1)
    with pytest.raises(ConfigError, match="epochs"):
        train(SMALL, "digits", epochs=0)
    with pytest.raises(DataError, match="neither a known name"):
        train(SMALL, "digitz", epochs=1)
    with pytest.raises(ConfigError, match=r"torch_device 'gpu' \(no such kind of device\); available: cpu"):
        train(SMALL, "digits", epochs=1, torch_device="gpu")
    colour = replace(dataset("digits"), train=Split(np.zeros((9, 3, 8, 8), np.uint8), np.zeros(9, np.int64)))
    with pytest.raises(DataError, match="3 channels do not fit"):
        train(SMALL, colour, epochs=1)
