from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

from mnas.errors import ConfigError, DataError, EvaluationError
from mnas.evaluate import Split, dataset, normalised
from mnas.evaluate.training import (
    Augment,
    Normalizer,
    Recipe,
    _augmented,
    _rate,
    accuracy,
    fit,
    recalibrate,
    threads,
)
from mnas.ir import Architecture
from mnas.lower.torch import build, weights_of

SMALL = Architecture.parse("input 1x8x8\nconv_c12_s2\nsepconv_c16\nhead_c32_n10")
_HASH = """
import hashlib, sys
sys.path[:0] = {path!r}
from tests.evaluate.test_training import trained
print(hashlib.sha256(b"".join(a.tobytes() for a in trained(3).values())).hexdigest())
"""


def trained(seed: int) -> dict[str, np.ndarray]:
    data = dataset("digits")
    normalize = Normalizer(data.mean, data.std)
    recipe = Recipe(1, 32, ema_decay=0.5, augment="flip-shift", label_smoothing=0.1)
    with threads(1):
        network = build(SMALL, seed)
        fit(network, data.train.first(320), recipe, normalize, seed=seed)
        recalibrate(network, data.train, normalize)
    return weights_of(network)


def test_a_network_learns() -> None:
    data = dataset("digits")
    normalize = Normalizer(data.mean, data.std)
    network = build(SMALL, 0)
    told: list[tuple[int, int, str]] = []
    losses = fit(
        network, data.train, Recipe(3, 32, 0.1), normalize, seed=0, progress=lambda *report: told.append(report)
    )
    assert len(losses) == 3
    assert losses[0] > losses[1] > losses[2]
    assert told[-1][:2] == (3 * (1151 // 32), 3 * (1151 // 32))
    recalibrate(network, data.train, normalize)
    assert accuracy(network, data.validation, normalize) > 0.5


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bits_in_every_process() -> None:
    here = trained(3)
    again = trained(3)
    assert all((here[key] == again[key]).all() for key in here)
    assert any((here[key] != value).any() for key, value in trained(4).items())
    script = _HASH.format(path=[entry for entry in sys.path if entry])
    there = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()
    assert there == hashlib.sha256(b"".join(a.tobytes() for a in here.values())).hexdigest()


def test_recalibration_takes_the_mean_of_the_batches() -> None:
    norm = nn.BatchNorm2d(2)
    nn.init.constant_(norm.weight, 3)
    images = np.random.default_rng(0).integers(0, 256, (40, 2, 3, 3)).astype(np.uint8)
    split = Split(images, np.zeros(40, np.int64))
    normalize = Normalizer((0.5, 0.5), (0.5, 0.5))
    recalibrate(nn.Sequential(norm), split, normalize, batches=4, batch=10)
    pixels = normalize(images)
    found = norm.state_dict()
    np.testing.assert_allclose(found["running_mean"].numpy(), pixels.mean((0, 2, 3)).numpy(), atol=1e-6)
    each = torch.stack([pixels[i : i + 10].var((0, 2, 3)) for i in range(0, 40, 10)]).mean(0)
    np.testing.assert_allclose(found["running_var"].numpy(), each.numpy(), rtol=1e-5)
    assert norm.momentum == 0.1
    assert not norm.training


def test_recalibration_rescues_a_short_training() -> None:
    data = dataset("digits")
    normalize = Normalizer(data.mean, data.std)
    network = build(SMALL, 0)
    fit(network, data.train, Recipe(1, 64, 0.1), normalize, seed=0)
    before = accuracy(network, data.validation, normalize)
    recalibrate(network, data.train, normalize)
    assert accuracy(network, data.validation, normalize) > before


def test_accuracy_counts() -> None:
    class Brightness(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cat([-x[:, :, 0, 0], x[:, :, 0, 0]], 1)

    images = np.array([0, 0, 255, 255, 255], np.uint8).reshape(5, 1, 1, 1)
    split = Split(images, np.array([0, 1, 1, 1, 0]))
    normalize = Normalizer((0.5,), (1.0,))
    assert accuracy(Brightness(), split, normalize, batch=2) == 0.6


def test_pixels_are_normalised() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 3, 5, 6)).astype(np.uint8)
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    expected = (images / 255 - np.reshape(mean, (3, 1, 1))) / np.reshape(std, (3, 1, 1))
    found = normalised(images, mean, std)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous
    np.testing.assert_allclose(found, expected, atol=1e-6)
    tensor = Normalizer(mean, std)(images)
    assert tensor.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(tensor.numpy(), found)


def test_a_moving_average_stays_nearer_to_the_start() -> None:
    data = dataset("digits").train.first(64)
    normalize = Normalizer((0.3,), (0.4,))

    def moved(decay: float) -> float:
        network = build(SMALL, 0)
        before = weights_of(network)
        fit(network, data, Recipe(8, 16, ema_decay=decay), normalize, seed=0)
        return sum(float(np.abs(a - before[k]).sum()) for k, a in weights_of(network).items() if k.endswith("weight"))

    assert 0 < moved(0.99) < moved(0.4) < moved(0.0)


def test_the_moving_average_leaves_the_initial_weights_behind() -> None:
    split = Split(np.full((40, 1, 8, 8), 99, np.uint8), np.arange(40) % 10)
    network = build(SMALL, 0)
    weight = next(network.parameters())
    average, seen = weight.detach().clone(), 0

    def follow(done: int, total: int, note: str) -> None:
        nonlocal average, seen
        decay = min(0.3, done / (done + 9))
        average, seen = decay * average + (1 - decay) * weight.detach(), total

    fit(network, split, Recipe(5, 10, ema_decay=0.3), Normalizer((0.3,), (0.4,)), seed=0, progress=follow)
    assert seen == 20
    torch.testing.assert_close(weight.detach(), average)


def test_a_long_moving_average_of_a_short_training_has_learnt() -> None:
    data = dataset("digits")
    normalize = Normalizer(data.mean, data.std)
    network = build(SMALL, 0)
    fit(network, data.train, Recipe(3, 32, 0.1, ema_decay=0.999), normalize, seed=0)
    recalibrate(network, data.train, normalize)
    assert accuracy(network, data.validation, normalize) > 0.5


def test_the_rate_rises_then_falls_to_nothing() -> None:
    rates = [_rate(step, 100, 0.1) for step in range(100)]
    top = rates.index(max(rates))
    assert top == 10
    assert rates[10] == 1
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.001
    assert _rate(0, 1, 0.0) == 1


@pytest.mark.parametrize("augment", ["none", "flip", "shift", "flip-shift"])
def test_augmented_images_are_moved_copies(augment: Augment) -> None:
    images = np.zeros((200, 1, 16, 16), np.uint8)
    images[:, 0, 8, 5] = 200
    found = _augmented(images, augment, np.random.default_rng(0))
    assert found.shape == images.shape
    assert (found.sum((1, 2, 3)) == 200).all()
    places = {(int(y), int(x)) for _, _, y, x in np.argwhere(found)}
    columns = {"none": {5}, "flip": {5, 10}, "shift": set(range(3, 8)), "flip-shift": {*range(3, 8), *range(8, 13)}}
    assert {x for _, x in places} == columns[augment]
    assert {y for y, _ in places} == (set(range(6, 11)) if "shift" in augment else {8})


def test_divergence_is_explained() -> None:
    data = dataset("digits")
    with pytest.raises(EvaluationError, match=r"the loss is (nan|inf) at step \d+ of .* learning rate of 1e\+25"):
        fit(build(SMALL, 0), data.train, Recipe(1, 32, 1e25), Normalizer(data.mean, data.std), seed=0)


def test_one_image_is_too_few_for_batch_norm() -> None:
    one = dataset("digits").train.first(1)
    normalize = Normalizer((0.3,), (0.4,))
    with pytest.raises(DataError, match="at least 2 images to train on, got 1"):
        fit(build(SMALL, 0), one, Recipe(), normalize, seed=0)
    with pytest.raises(DataError, match="at least 2 images, got 1"):
        recalibrate(build(SMALL, 0), one, normalize)


def test_fewer_images_than_a_batch_are_one_batch() -> None:
    few = dataset("digits").train.first(5)
    assert len(fit(build(SMALL, 0), few, Recipe(3, 64), Normalizer((0.3,), (0.4,)), seed=0)) == 3


@pytest.mark.parametrize(
    "setting",
    [
        {"epochs": 0},
        {"batch": 1},
        {"lr": 0.0},
        {"lr": float("nan")},
        {"weight_decay": -1.0},
        {"momentum": 1.0},
        {"ema_decay": 1.0},
        {"label_smoothing": -0.1},
        {"warmup": 2.0},
        {"augment": "rotate"},
    ],
)
def test_recipes_are_checked(setting: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Recipe(**setting)  # type: ignore[arg-type]


def test_threads_are_restored() -> None:
    with threads(2):
        assert torch.get_num_threads() == 2
        with threads(1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
