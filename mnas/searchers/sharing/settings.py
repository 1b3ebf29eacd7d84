"""The settings of TuNAS."""

from __future__ import annotations

from dataclasses import dataclass, fields

from mnas.errors import ConfigError
from mnas.evaluate.oneshot import SupernetSettings


@dataclass(frozen=True, slots=True)
class TunasSettings(SupernetSettings):
    """How to train shared weights and a policy in turn; the first settings are those of the weights.

    Of the images one half trains the weights, the other gives the accuracies that the policy learns from.

    Attributes:
        images: number of training images, in both halves.
        quiet: share of the steps, at the beginning, in which only weights are trained, of networks drawn so that all
            kinds of ops are equally likely.
        samples: networks that the policy is told at every step after that.
        policy_lr: learning rate of the policy, by Adam.
        entropy: weight of the policy's entropy.
        decay: share of the moving average of rewards that one more reward keeps.
    """

    quiet: float = 0.25
    samples: int = 1
    policy_lr: float = 0.01
    entropy: float = 0.0
    decay: float = 0.95

    def __post_init__(self) -> None:
        SupernetSettings.__post_init__(self)
        if self.images < 2 * self.batch:
            raise ConfigError(f"{self.images} images give no batch of {self.batch} in either half; take more images")
        if self.samples < 1 or not self.policy_lr > 0 or not self.entropy >= 0:
            raise ConfigError(
                f"needs samples >= 1, policy_lr > 0 and entropy >= 0, got {self.samples}, {self.policy_lr} and "
                f"{self.entropy}"
            )
        if not 0 <= self.decay < 1 or not 0 <= self.quiet < 1:
            raise ConfigError(f"needs 0 <= decay < 1 and 0 <= quiet < 1, got {self.decay} and {self.quiet}")

    @property
    def weights(self) -> SupernetSettings:
        """Those of the weights, for the half of the images that trains them."""
        given = {each.name: getattr(self, each.name) for each in fields(SupernetSettings)}
        return SupernetSettings(**{**given, "images": self.images // 2})
