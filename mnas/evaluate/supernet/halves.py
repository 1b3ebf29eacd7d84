"""The two halves of the training images: one for the weights, one for the decisions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from mnas.errors import DataError
from mnas.evaluate.data import SearchData, Split, adapt
from mnas.evaluate.training import Batch, Normalizer
from mnas.ir import Shape


class Halves:
    """Pairs of batches, one of either half.

    Args:
        data: its training images are halved; others are not looked at.
        x: the shape that images are brought to.
        images: take the first so many.
        batch: images of either half in a pair.
        torch_device: where the batches go.

    Attributes:
        steps: pairs in an epoch; images that do not fill one are left out.
        images: how many there are in both halves.

    Raises:
        DataError: the halves have less than a batch.
    """

    def __init__(self, data: SearchData, x: Shape, images: int, batch: int, torch_device: str = "cpu") -> None:
        fitting = adapt(data.first(images), x)
        half = len(fitting.train) // 2
        if half < batch:
            raise DataError(
                f"{data.name} has {len(fitting.train)} training images, halves of {half}: too few for batches of "
                f"{batch}; take a smaller batch"
            )
        self._halves = [fitting.train.take(np.arange(i * half, (i + 1) * half)) for i in range(2)]
        self._normalize = Normalizer(fitting.mean, fitting.std, torch_device)
        self._batch = batch
        self.steps, self.images = half // batch, 2 * half

    def pairs(self, rng: np.random.Generator) -> Iterator[tuple[Batch, Batch]]:
        """The pairs of an epoch in an order that `rng` draws: a batch for the weights, and one for the decisions."""
        training, validation = (
            rng.permutation(len(half))[: self.steps * self._batch].reshape(self.steps, self._batch)
            for half in self._halves
        )
        for for_weights, for_decisions in zip(training, validation, strict=True):
            yield self._made(self._halves[0], for_weights), self._made(self._halves[1], for_decisions)

    def first(self) -> Batch:
        """A batch of the half for the decisions, the same at every call."""
        return self._made(self._halves[1], np.arange(self._batch))

    def _made(self, half: Split, chosen: NDArray[np.int64]) -> Batch:
        images = self._normalize(half.images[chosen])
        return Batch(images, torch.from_numpy(half.labels[chosen]).to(images.device))
