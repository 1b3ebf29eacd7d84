"""How shared weights are trained; free of torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mnas.errors import ConfigError


@dataclass(frozen=True, slots=True)
class SupernetSettings:
    """How to train weights that the networks of a space share: a few networks a step, by SGD with Nesterov momentum.

    Attributes:
        images: number of training images.
        epochs: passes over them.
        batch: images a step.
        networks: that a step trains, each by an equal part of the batch (at least 2 images, as batch norm needs).
            Their gradients are averaged.
        lr: highest learning rate; a cosine to zero over the steps.
        momentum: 0..1.
        weight_decay: of weights of two or more axes.
        op_warmup: share of the steps, at the beginning, in which all ops of a layer may be trained at once, their
            outputs averaged; the chance falls in a line from 1 to 0 (TuNAS, arXiv:2008.06120, sec. 5.2, takes 0.25).
            Such a step takes about five times as long.
        filter_warmup: the same for the widest layers in place of those of the network.
    """

    images: int = 40000
    epochs: int = 16
    batch: int = 128
    networks: int = 4
    lr: float = 0.0125
    momentum: float = 0.9
    weight_decay: float = 1e-4
    op_warmup: float = 0.0
    filter_warmup: float = 0.0

    def __post_init__(self) -> None:
        if self.networks < 1 or self.batch < 2 * self.networks:
            raise ConfigError(
                f"batch must have at least 2 images for each of networks >= 1, as batch norm needs, got "
                f"{self.batch} for {self.networks}"
            )
        if self.images < self.batch:
            raise ConfigError(f"{self.images} images give no batch of {self.batch}; take more images")
        if self.epochs < 1 or not self.lr > 0 or not self.weight_decay >= 0 or not math.isfinite(self.lr):
            raise ConfigError(
                f"needs epochs >= 1, lr > 0 and weight_decay >= 0, got {self.epochs}, {self.lr} and {self.weight_decay}"
            )
        for name in ("momentum", "op_warmup", "filter_warmup"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must be in 0..1, 1 excluded, got {getattr(self, name)}")

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of a step (from 0)."""
        return self.lr * 0.5 * (1 + math.cos(math.pi * step / steps))
