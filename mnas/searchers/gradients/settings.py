"""The settings of a search by gradients, and what it reports; free of torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

from mnas.errors import ConfigError
from mnas.spaces import Encoding


@dataclass(frozen=True, slots=True)
class DartsSettings:
    """How to search by gradients; the defaults are the paper's but for the number of epochs, images and the order.

    Attributes:
        order: "first" (the weights as they are) or "second" (after one more step of theirs), which costs twice as much.
        epochs: passes over the images.
        images: number of training images: one half trains the weights, the other the decisions.
        batch: images a step, of either half; at least 2, as batch norm needs.
        warmup: epochs at the beginning that train the weights alone.
        cells: of the supernet; those that the space searches in, if not given.
        channels: of the supernet's first cells; those that the space searches in, if not given.
        lr: highest learning rate of the weights; a cosine over the epochs.
        least_lr: lowest.
        momentum: of the weights.
        weight_decay: of the weights.
        clip: largest norm of the gradient of the weights.
        alpha_lr: learning rate of the decisions, by Adam.
        alpha_weight_decay: of the decisions.
        latency_weight: what the expected latency, relative to the target, adds to the loss: lambda. With `land` it is
            where lambda starts, at least at 0.01.
        land: let lambda follow the latency of the network found so far, so that the answer is within the target.
        collapse: share of identities beyond which the search ends early, with the answer of the epoch before. It is
            looked at from the second epoch on that moves the decisions.
        eigenvalue: report the dominant eigenvalue of the Hessian of the validation loss every epoch.
    """

    order: Literal["first", "second"] = "first"
    epochs: int = 15
    images: int = 4000
    batch: int = 64
    warmup: int = 0
    cells: int | None = None
    channels: int | None = None
    lr: float = 0.025
    least_lr: float = 0.001
    momentum: float = 0.9
    weight_decay: float = 3e-4
    clip: float = 5.0
    alpha_lr: float = 3e-4
    alpha_weight_decay: float = 1e-3
    latency_weight: float = 0.0
    land: bool = True
    collapse: float = 1.0
    eigenvalue: bool = False

    def __post_init__(self) -> None:
        if self.order not in ("first", "second"):
            raise ConfigError(f"order must be first or second, got {self.order!r}")
        if self.batch < 2:
            raise ConfigError(f"batch must be at least 2 images, as batch norm needs, got {self.batch}")
        if self.images < 2 * self.batch:
            raise ConfigError(f"{self.images} images give no batch of {self.batch} in either half; take more images")
        if not 0 <= self.warmup < self.epochs:
            raise ConfigError(f"needs epochs > warmup >= 0, got {self.epochs} and {self.warmup}")
        if not 0 <= self.collapse <= 1:
            raise ConfigError(f"collapse must be in 0..1, got {self.collapse}")
        self._check_rates()

    def _check_rates(self) -> None:
        for name in ("lr", "clip", "alpha_lr"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("weight_decay", "alpha_weight_decay", "latency_weight"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} must be at least 0, got {getattr(self, name)}")
        if not 0 <= self.least_lr <= self.lr:
            raise ConfigError(f"least_lr must be in 0..lr, got {self.least_lr} and lr {self.lr}")
        if not 0 <= self.momentum < 1:
            raise ConfigError(f"momentum must be at least 0 and below 1, got {self.momentum}")

    def rate(self, epoch: int) -> float:
        """Learning rate of the weights in an epoch (from 0)."""
        return self.least_lr + (self.lr - self.least_lr) * 0.5 * (1 + math.cos(math.pi * epoch / self.epochs))


class Epoch(NamedTuple):
    """What is known after an epoch; a line of `darts.jsonl`.

    Attributes:
        epoch: its number, from 1.
        encoding: the network that the decisions stand for.
        training_loss: mean over its steps.
        validation_loss: mean over its steps; None while the weights alone are trained.
        entropy: mean of the decisions, 0..1 of the largest.
        identity_share: of the network's searched places, 0..1; it grows when a search collapses.
        eigenvalue: dominant eigenvalue of the Hessian of the validation loss; None unless asked for.
        latency_weight: lambda.
        expected_ms: expected latency; None without a table.
        network_ms: upper bound of the latency of the network; None without a table.
        within: the latest network within the target, if lambda follows the latency and there was one.
    """

    epoch: int
    encoding: Encoding
    training_loss: float
    validation_loss: float | None
    entropy: float
    identity_share: float
    eigenvalue: float | None
    latency_weight: float
    expected_ms: float | None
    network_ms: float | None
    within: Encoding | None = None

    def summary(self) -> str:
        """Say in one line how the search stands."""
        parts = [f"loss {self.training_loss:.3f}"]
        parts += [f"validation {self.validation_loss:.3f}"] if self.validation_loss is not None else []
        parts += [f"entropy {self.entropy:.3f}", f"identity {100 * self.identity_share:.0f} %"]
        parts += [f"eigenvalue {self.eigenvalue:.3g}"] if self.eigenvalue is not None else []
        parts += [f"{self.network_ms:.3g} ms  lambda {self.latency_weight:.3g}"] if self.network_ms is not None else []
        return "  ".join(parts)
