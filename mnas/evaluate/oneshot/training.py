"""Training of shared weights (ENAS, arXiv:1802.03268; TuNAS, arXiv:2008.06120): other networks of the space a step."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path as FilePath
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mnas.errors import DataError, EvaluationError
from mnas.evaluate.data import Dataset, SearchData, adapt
from mnas.evaluate.oneshot.chain import Path
from mnas.evaluate.oneshot.network import SharedNetwork
from mnas.evaluate.oneshot.settings import SupernetSettings
from mnas.evaluate.oneshot.storage import StoredWeights, identify, load_weights
from mnas.evaluate.searching import search_data
from mnas.evaluate.torch_device import check_torch_device
from mnas.evaluate.training import Batch, Normalizer, threads
from mnas.ir import Shape
from mnas.progress import Progress
from mnas.spaces import Encoding, SearchSpace

SAVE_SECONDS = 30.0
"""An interrupted training loses about so much work."""
_ORDER, _DRAWS = 0, 1


class _Part(NamedTuple):
    """What a step does for one of its networks."""

    path: Path
    every: bool
    images: Tensor
    labels: Tensor


def train_supernet(
    space: SearchSpace,
    data: str | FilePath | Dataset | SearchData,
    file: str | FilePath,
    settings: SupernetSettings | None = None,
    *,
    seed: int = 0,
    data_folder: str | FilePath | None = None,
    torch_device: str = "cpu",
    workers: int = 1,
    progress: Progress | None = None,
) -> SharedNetwork:
    """Train weights that the networks of a space share, and keep them in a file.

    Where the file is of an interrupted training of the same settings, that goes on to the same result to the bit; where
    it is of a finished one, nothing is trained. Torch uses one thread a worker.

    Args:
        space: a `ChainSpace`.
        data: name or path of a data set, or the data itself; only training images are looked at.
        file: where the weights are kept, for evaluator `supernet`.
        settings: how; `SupernetSettings()` if not given.
        seed: of the initial weights, the networks drawn and the order of the images.
        data_folder: where the files of a named data set are, if not in their usual place.
        torch_device: where to train.
        workers: threads, each of which takes another of the step's networks; they change the time, not the weights.
        progress: told steps.

    Raises:
        ConfigError: a space whose networks cannot share, other classes than the data's, or a file of another training.
        DataError: data that is missing, or fewer images than a batch.
        EvaluationError: a loss is no longer a number.
        FormatError: the file is damaged.
    """
    settings, file = settings or SupernetSettings(), FilePath(file)
    check_torch_device(torch_device)
    whole = search_data(data, space, folder=data_folder)
    batches = Batches(whole, space.x, settings.images, settings.batch, seed, torch_device)
    steps, identity = settings.epochs * batches.each, identify(space, whole, settings, seed)
    with threads(1), together(workers, torch_device) as pool:
        trainer = Trainer(SharedNetwork(space, seed, torch_device), settings, steps, pool)
        if file.exists():
            stored = load_weights(file)
            stored.check(identity, file)
            trainer.load(stored)
        saved = time.monotonic()
        while trainer.step < steps:
            step, rng = trainer.step, np.random.default_rng((seed, _DRAWS, trainer.step))
            drawn = [trainer.network.chain.draw(rng) for _ in range(settings.networks)]
            loss = trainer.train(drawn, *batches[step], rng)
            if progress is not None:
                progress(step + 1, steps, f"shared weights  loss {loss:.3f}")
            if trainer.step == steps or time.monotonic() - saved > SAVE_SECONDS:
                trainer.stored(identity).save(file)
                saved = time.monotonic()
    return trainer.network


@contextmanager
def together(workers: int, torch_device: str) -> Iterator[ThreadPoolExecutor | None]:
    """Threads that compute networks of a step at the same time, by one thread of torch each.

    None for fewer than 2 workers, and on other devices than the CPU, which one thread keeps busy.
    """
    if workers < 2 or torch_device != "cpu":
        yield None
        return
    with ThreadPoolExecutor(workers, "mnas-supernet", torch.set_num_threads, (1,)) as pool:
        yield pool


class Batches:
    """The training images in batches; every epoch has an order of its own, which the seed decides.

    Args:
        data: its training images are read.
        x: the shape that they are brought to.
        images: take the first so many.
        batch: images in a batch; those that do not fill one are left out of the epoch.
        seed: draws the orders.
        torch_device: where the batches go.

    Attributes:
        each: batches in an epoch.

    Raises:
        DataError: fewer images than a batch.
    """

    def __init__(self, data: SearchData, x: Shape, images: int, batch: int, seed: int, torch_device: str) -> None:
        fitting = adapt(data.first(images), x)
        self._split, self._batch, self._seed = fitting.train, batch, seed
        self.each = len(self._split) // batch
        if not self.each:
            raise DataError(
                f"{data.name} has {len(self._split)} training images: too few for a batch of {batch}; take a smaller "
                "batch"
            )
        self._normalize = Normalizer(fitting.mean, fitting.std, torch_device)
        self._epoch, self._order = -1, np.zeros(0, np.int64)

    def __getitem__(self, step: int) -> Batch:
        """The batch of a step, of any epoch."""
        epoch, at = divmod(step, self.each)
        if epoch != self._epoch:
            self._epoch = epoch
            self._order = np.random.default_rng((self._seed, _ORDER, epoch)).permutation(len(self._split))
        chosen: NDArray[np.int64] = self._order[at * self._batch : (at + 1) * self._batch]
        images = self._normalize(self._split.images[chosen])
        return Batch(images, torch.from_numpy(self._split.labels[chosen]).to(images.device))


class Trainer:
    """Takes the steps of a training.

    Args:
        network: whose weights are trained.
        settings: how.
        steps: of the whole training.
        pool: where the networks of a step are computed, some at once; here, one after the other, if not given.

    Attributes:
        network: the same.
        step: steps done.
    """

    def __init__(
        self, network: SharedNetwork, settings: SupernetSettings, steps: int, pool: ThreadPoolExecutor | None = None
    ) -> None:
        self.network, self.step = network, 0
        self._map = pool.map if pool else map
        self._settings, self._steps = settings, steps
        self._weights = network.weights.tensors
        matrices = [weight for weight in self._weights.values() if weight.ndim > 1]
        vectors = [weight for weight in self._weights.values() if weight.ndim <= 1]
        groups = [
            {"params": matrices, "weight_decay": settings.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        nesterov = settings.momentum > 0
        self._optimizer = torch.optim.SGD(groups, settings.lr, settings.momentum, nesterov=nesterov, fused=True)
        self._momentum = {key: torch.zeros_like(weight) for key, weight in self._weights.items()}
        for key, weight in self._weights.items():
            self._optimizer.state[weight]["momentum_buffer"] = self._momentum[key]

    def train(self, encodings: Sequence[Encoding], images: Tensor, labels: Tensor, rng: np.random.Generator) -> float:
        """Take a step for some networks, warm-up permitting, and give their mean loss before it.

        Args:
            encodings: the networks; each is trained by an equal part of the images.
            images: normalised, (n, c, h, w).
            labels: (n,).
            rng: decides on the warm-up.

        Raises:
            EvaluationError: the loss is no longer a number.
        """
        settings = self._settings
        every, wide = (self._warms(share, rng) for share in (settings.op_warmup, settings.filter_warmup))
        chain = self.network.chain
        for group in self._optimizer.param_groups:
            group["lr"] = settings.rate(self.step, self._steps)
        self._optimizer.zero_grad()
        n, value = len(encodings), 0.0
        parts = [
            _Part(chain.path(chain.widest(encoding) if wide else encoding), every, some, theirs)
            for encoding, some, theirs in zip(encodings, images.tensor_split(n), labels.tensor_split(n), strict=True)
        ]
        for loss, gradients in self._map(self._gradients, parts):  # in the order of the networks, whoever is first
            value += loss / n
            for weight, gradient in zip(self._weights.values(), gradients, strict=True):
                if gradient is not None and weight.grad is not None:
                    weight.grad.add_(gradient, alpha=1 / n)
                elif gradient is not None:
                    weight.grad = torch.empty_like(weight).copy_(gradient / n)
        self._optimizer.step()
        self.step += 1
        if not math.isfinite(value):
            raise EvaluationError(
                f"the training of shared weights diverged: the loss is {value} at step {self.step} of {self._steps}; "
                f"a learning rate of {settings.lr:g} may be too high"
            )
        return value

    def stored(self, identity: dict[str, object]) -> StoredWeights:
        """What the file holds of this moment."""
        momentum = {} if self.step == self._steps else self._momentum
        return StoredWeights(identity, self.step, self._steps, self._weights, momentum)

    def load(self, stored: StoredWeights) -> None:
        """Go on where a training was."""
        self.network.weights.load(stored.weights)
        self.step = stored.step
        for key, value in stored.momentum.items():
            self._momentum[key].copy_(value)

    def _gradients(self, part: _Part) -> tuple[float, tuple[Tensor | None, ...]]:
        """The loss of one network, and its gradient with respect to all weights."""
        loss = nn.functional.cross_entropy(self.network(part.path, part.images, every=part.every), part.labels)
        return loss.item(), torch.autograd.grad(loss, list(self._weights.values()), allow_unused=True)

    def _warms(self, share: float, rng: np.random.Generator) -> bool:
        chance = 1 - self.step / (share * self._steps) if share else 0.0
        return float(rng.random()) < chance
