"""Labelled images in memory, and how they are cut into training, validation and test splits."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mnas.errors import ConfigError, DataError
from mnas.ir import Shape

LARGEST_VALIDATION = 5000
"""Most images that are held out for validation unless asked otherwise; small sets give 20 %."""


@dataclass(frozen=True, eq=False, slots=True)
class Split:
    """Images (n, c, h, w), uint8, and their labels (n,), int64.

    Raises:
        DataError: no images, other shapes or types, or not one label an image.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.dtype != np.uint8 or not self.images.size:
            raise DataError(f"images must be uint8 (n, c, h, w), got {self.images.dtype} {self.images.shape}")
        if self.labels.dtype != np.int64 or self.labels.shape != self.images.shape[:1]:
            raise DataError(
                f"{len(self.images)} images need as many int64 labels, got {self.labels.dtype} {self.labels.shape}"
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def shape(self) -> Shape:
        """Shape of one image."""
        return Shape(*self.images.shape[1:])

    def take(self, indices: NDArray[np.int64]) -> Split:
        """The images at `indices`, copied."""
        return Split(self.images[indices], self.labels[indices])

    def first(self, n: int) -> Split:
        """The first `n` images, or all where there are fewer; copied, so that the others need not be kept."""
        return Split(self.images[:n].copy(), self.labels[:n].copy())


@dataclass(frozen=True, eq=False, slots=True)
class SearchData:
    """What a search may see of a data set: it has no test images."""

    name: str
    train: Split
    validation: Split
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def shape(self) -> Shape:
        """Shape of one image."""
        return self.train.shape

    def first(self, train: int, validation: int = 1) -> SearchData:
        """The first images of both splits; all where there are fewer."""
        return replace(self, train=self.train.first(train), validation=self.validation.first(validation))


@dataclass(frozen=True, eq=False, slots=True)
class Dataset:
    """Three disjoint splits, the names of the labels, and mean and deviation of each channel (0..1 scale, of train).

    `train` is in random order, so that its first n images are a fair sample.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def shape(self) -> Shape:
        """Shape of one image."""
        return self.train.shape

    def for_search(self) -> SearchData:
        """The same without the test split."""
        return SearchData(self.name, self.train, self.validation, self.classes, self.mean, self.std)


@dataclass(frozen=True, eq=False, slots=True)
class Source:
    """A data set as its files hold it: images to learn from, test images if there are any, and names of the labels."""

    learn: Split
    test: Split | None = None
    classes: tuple[str, ...] | None = None


def cut(name: str, source: Source, *, seed: int = 0, validation: int | None = None) -> Dataset:
    """Cut validation images (and test images, where the files hold none) from the images to learn from.

    Args:
        name: of the data set.
        source: the images; where it names no classes they are "0", "1" and so on to the largest label.
        seed: draws the validation images. Test images never depend on it, so that runs can be compared.
        validation: number of validation images; 20 % up to `LARGEST_VALIDATION` if not given. A missing test split
            is 20 % of the images.

    Raises:
        DataError: labels out of range, train and test images of unlike shape, or too few images.
        ConfigError: `validation` leaves no image to train on.
    """
    learn, test = source.learn, source.test
    if test is None:
        order = np.random.default_rng(0).permutation(len(learn))
        held = _held_out(name, len(learn), None)
        learn, test = learn.take(order[held:]), learn.take(order[:held])
    if test.shape != learn.shape:
        raise DataError(f"data set {name}: training images are {learn.shape}, test images {test.shape}")
    classes = source.classes or tuple(str(label) for label in range(int(learn.labels.max()) + 1))
    for part in (learn, test):
        if part.labels.min() < 0 or part.labels.max() >= len(classes):
            raise DataError(
                f"data set {name}: labels must be in 0..{len(classes) - 1}, "
                f"got {part.labels.min()}..{part.labels.max()}"
            )
    held = _held_out(name, len(learn), validation)
    order = np.random.default_rng(seed).permutation(len(learn))
    train = learn.take(order[held:])
    mean, std = _statistics(train.images)
    return Dataset(name, train, learn.take(order[:held]), test, classes, mean, std)


def to_hold_out(wanted: int) -> int | None:
    """The number of validation images to ask `cut` for, of which `wanted` are to be used.

    As usual, if that is no more than is held out of large sets: small ones may have fewer, and all of them do then.
    """
    return wanted if wanted > LARGEST_VALIDATION else None


def _held_out(name: str, n: int, asked: int | None) -> int:
    if n < 5:
        raise DataError(f"data set {name}: {n} images are too few to cut into splits; it takes at least 5")
    held = min(LARGEST_VALIDATION, n // 5) if asked is None else asked
    if not 1 <= held < n:
        raise ConfigError(f"validation must be 1..{n - 1} of the {n} images of {name}, got {held}")
    return held


def _statistics(images: NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, 0..1 scale; a constant channel is given a deviation of 1."""
    means, deviations = [], []
    for c in range(images.shape[1]):
        share = np.bincount(images[:, c].ravel(), minlength=256) / images[:, c].size
        values = np.arange(256) / 255
        mean = float(share @ values)
        means.append(mean)
        deviations.append(float(np.sqrt(share @ (values - mean) ** 2)) or 1.0)
    return tuple(means), tuple(deviations)
