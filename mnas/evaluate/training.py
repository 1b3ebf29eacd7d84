"""One training loop for short proxies and for final networks, batch-norm recalibration, and accuracy.

One thread, one seed and one memory format give the same weights to the bit in every process of a machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mnas.errors import ConfigError, DataError, EvaluationError
from mnas.evaluate.data import Split
from mnas.evaluate.droppath import drop_paths
from mnas.progress import Progress

Augment = Literal["none", "flip", "shift", "flip-shift"]


class Batch(NamedTuple):
    """Normalised images (n, c, h, w) and their labels (n,)."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train: stochastic gradient descent with Nesterov momentum, linear warm-up, then a cosine to zero.

    The defaults are for the network that will be deployed.

    Attributes:
        epochs: passes over the images.
        batch: images a step; at least 2, as batch norm needs.
        lr: highest learning rate; it grows with the batch.
        warmup: share of the steps in which the rate rises.
        momentum: 0..1.
        weight_decay: of weights of two or more axes; scales, shifts and biases do not decay.
        label_smoothing: 0..1, share of the target that is spread over all classes.
        ema_decay: the weights kept are a moving average of this decay over steps, which starts as an average over few
            (decay (1 + step) / (10 + step), if that is less); 0 keeps the last ones.
        augment: "flip" mirrors half of the images, "shift" moves each by up to an eighth of its size; what is mirrored
            or shifted must still be what its label says.
        drop_path: chance of leaving out a path of a join (see `mnas.evaluate.droppath`) at the end of the training; it
            rises from 0 in a line.
    """

    epochs: int = 20
    batch: int = 64
    lr: float = 0.1
    warmup: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    ema_decay: float = 0.0
    augment: Augment = "none"
    drop_path: float = 0.0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 2 or not self.lr > 0 or not self.weight_decay >= 0:
            raise ConfigError(f"needs epochs >= 1, batch >= 2, lr > 0 and weight_decay >= 0: {self}")
        for name in ("warmup", "momentum", "label_smoothing", "ema_decay", "drop_path"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must be in 0..1, 1 excluded: {self}")
        if self.augment not in get_args(Augment):
            raise ConfigError(f"augment must be one of {', '.join(get_args(Augment))}, got {self.augment!r}")


class Normalizer:
    """Turns uint8 images (n, c, h, w) into float32 tensors of mean 0 and deviation 1, channels last.

    Args:
        mean: of each channel, 0..1 scale.
        std: of each channel, 0..1 scale.
        torch_device: where the tensors go.
    """

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...], torch_device: str = "cpu") -> None:
        self.device = torch_device
        self._scale = torch.tensor([1 / (255 * s) for s in std], device=torch_device)[:, None, None]
        self._shift = torch.tensor([-m / s for m, s in zip(mean, std, strict=True)], device=torch_device)[:, None, None]

    def __call__(self, images: NDArray[np.uint8]) -> Tensor:
        pixels = torch.from_numpy(np.array(images)).to(self.device)
        floats = pixels.to(torch.float32, memory_format=torch.channels_last)
        return torch.addcmul(self._shift, floats, self._scale)


def normalised(images: NDArray[np.uint8], mean: tuple[float, ...], std: tuple[float, ...]) -> NDArray[np.float32]:
    """What a network reads of uint8 images (n, c, h, w): (pixel / 255 - mean) / std, float32 (n, c, h, w)."""
    return np.ascontiguousarray(Normalizer(mean, std)(images).numpy())


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Let torch use `n` threads inside the block: results depend on the number."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def fit(
    network: nn.Module,
    split: Split,
    recipe: Recipe,
    normalize: Normalizer,
    *,
    seed: int,
    progress: Progress | None = None,
    after_epoch: Callable[[int], None] | None = None,
) -> tuple[float, ...]:
    """Train `network` on `split` in place; batch-norm statistics are left for `recalibrate`.

    Args:
        network: maps (n, c, h, w) to logits (n, classes); it is on the normalizer's device.
        split: images and labels; where they do not fill the last batch of an epoch, a few are left out of it.
        recipe: how.
        normalize: makes tensors of images.
        seed: draws the order of the images, the augmentation and the paths that are dropped.
        progress: told the steps and the loss.
        after_epoch: called with the number of the epoch (from 1); it may evaluate the network, whose weights are then
            those of the last step, and must not change them.

    Returns:
        The mean loss of each epoch.

    Raises:
        DataError: fewer than 2 images.
        EvaluationError: the loss is no longer a number.
    """
    if len(split) < 2:
        raise DataError(f"batch norm needs at least 2 images to train on, got {len(split)}")
    network.to(normalize.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    batch = min(recipe.batch, len(split))
    each = len(split) // batch
    steps = recipe.epochs * each
    weights = list(network.parameters())
    optimizer = _optimizer(weights, recipe)
    averages = [weight.detach().clone() for weight in weights] if recipe.ema_decay else []
    criterion = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    rng = np.random.default_rng(seed)
    losses: list[float] = []
    network.train()
    with drop_paths(network, seed) as drop:
        for step, chosen in enumerate(_order(rng, len(split), batch, recipe.epochs)):
            drop.rate = recipe.drop_path * step / steps
            for group in optimizer.param_groups:
                group["lr"] = recipe.lr * _rate(step, steps, recipe.warmup)
            images = _augmented(split.images[chosen], recipe.augment, rng)
            labels = torch.from_numpy(split.labels[chosen]).to(normalize.device)
            loss = criterion(network(normalize(images)), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            _check_loss(losses[-1], step, steps, recipe.lr)
            if averages:
                decay = min(recipe.ema_decay, (1 + step) / (10 + step))
                torch._foreach_lerp_(averages, [w.detach() for w in weights], 1 - decay)
            if progress is not None:
                progress(step + 1, steps, f"loss {losses[-1]:.3f}")
            if after_epoch is not None and (step + 1) % each == 0:
                drop.rate = 0.0
                after_epoch((step + 1) // each)
                network.train()
    with torch.no_grad():
        for weight, average in zip(weights, averages, strict=False):
            weight.copy_(average)
    return tuple(float(np.mean(part)) for part in np.split(np.array(losses), recipe.epochs))


def _check_loss(loss: float, step: int, steps: int, lr: float) -> None:
    if not math.isfinite(loss):
        raise EvaluationError(
            f"training diverged: the loss is {loss} at step {step + 1} of {steps}; a learning rate of {lr:g} may be "
            "too high"
        )


def recalibrate(network: nn.Module, split: Split, normalize: Normalizer, *, batches: int = 16, batch: int = 64) -> None:
    """Set batch-norm statistics to the mean of those of the first `batches` batches, under the present weights.

    The running averages of training are far behind after a short one, and those of averaged weights were never taken.

    Raises:
        DataError: fewer than 2 images.
    """
    if len(split) < 2:
        raise DataError(f"batch norm needs at least 2 images, got {len(split)}")
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the cumulative average
    network.train()
    batch = min(batch, len(split))
    with torch.no_grad():
        for i in range(min(batches, len(split) // batch)):
            network(normalize(split.images[i * batch : (i + 1) * batch]))
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum
    network.eval()


def accuracy(network: nn.Module, split: Split, normalize: Normalizer, *, batch: int = 256) -> float:
    """Share of the images whose largest logit is that of their label, 0..1."""
    network.eval()
    correct = 0
    with torch.inference_mode():
        for i in range(0, len(split), batch):
            predicted = network(normalize(split.images[i : i + batch])).argmax(1).cpu().numpy()
            correct += int((predicted == split.labels[i : i + batch]).sum())
    return correct / len(split)


def _optimizer(weights: list[nn.Parameter], recipe: Recipe) -> torch.optim.SGD:
    groups = [
        {"params": [w for w in weights if w.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [w for w in weights if w.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum, nesterov=recipe.momentum > 0, fused=True)


def _rate(step: int, steps: int, warmup: float) -> float:
    """Share of the highest learning rate at a step (from 0): a line up, then half a cosine down."""
    rising = warmup * steps
    if step < rising:
        return (step + 1) / (rising + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1.0, steps - rising)))


def _order(rng: np.random.Generator, n: int, batch: int, epochs: int) -> Iterator[NDArray[np.int64]]:
    for _ in range(epochs):
        order = rng.permutation(n)
        yield from (order[i : i + batch] for i in range(0, n - batch + 1, batch))


def _augmented(images: NDArray[np.uint8], augment: Augment, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Mirror half of the images, and shift each by its own offset, zeros coming in."""
    if augment == "none":
        return images
    n, _, h, w = images.shape
    down, right = (max(1, h // 8), max(1, w // 8)) if "shift" in augment else (0, 0)
    padded = np.pad(images, ((0, 0), (0, 0), (down, down), (right, right)))
    rows = rng.integers(0, 2 * down + 1, (n, 1)) + np.arange(h)
    columns = rng.integers(0, 2 * right + 1, (n, 1)) + np.arange(w)
    if "flip" in augment:
        columns = np.where(rng.random((n, 1)) < 0.5, columns[:, ::-1], columns)
    moved: NDArray[np.uint8] = padded.transpose(0, 2, 3, 1)[
        np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]
    ]
    return moved.transpose(0, 3, 1, 2)
