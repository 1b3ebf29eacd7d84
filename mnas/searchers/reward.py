"""Rewards: one number from accuracy and latency. All work on floats and, elementwise, on arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from mnas.errors import ConfigError
from mnas.registry import Registry
from mnas.searchers.options import check_options

FloatOrArray = TypeVar("FloatOrArray", float, NDArray[np.float64])


class Reward(Protocol):
    """What a searcher maximises."""

    def __call__(self, accuracy: FloatOrArray, latency_ms: FloatOrArray) -> FloatOrArray:
        """Reward of accuracy (0..1) and latency in milliseconds; ConfigError where a latency is not above 0."""


rewards: Registry[Callable[..., Reward]] = Registry("reward")
"""Factories `(target_ms, *, alpha, beta, accuracy_power)`; a reward without an alpha leaves that option out."""


def make_reward(
    name: str,
    target_ms: float,
    *,
    alpha: float | None = None,
    beta: float | None = None,
    accuracy_power: float | None = None,
) -> Reward:
    """Make the registered reward `name`.

    Args:
        name: "asymmetric", "absolute", "soft" or "hard".
        target_ms: the latency target.
        alpha: exponent within the target, in place of the reward's own.
        beta: exponent (slope, for "absolute") beyond the target, in place of the reward's own.
        accuracy_power: the accuracy counts to this power, in place of 1 (NAS-RL, arXiv:1611.01578, takes 3).

    Raises:
        UnknownNameError: no such reward.
        ConfigError: a target or power that is not a positive number, a positive or infinite exponent, or one it does
            not have.
    """
    every = {"alpha": alpha, "beta": beta, "accuracy_power": accuracy_power}
    given = {key: value for key, value in every.items() if value is not None}
    factory = rewards[name]
    return factory(target_ms, **check_options(f"reward {name!r}", factory, given, reserved=("target_ms",)))


@dataclass(frozen=True, slots=True)
class MnasReward:
    """accuracy * (latency / target) ** w, w = alpha within the target and beta beyond (arXiv:1807.11626, eq. 2-3)."""

    target_ms: float
    alpha: float
    beta: float
    accuracy_power: float = 1.0

    def __post_init__(self) -> None:
        _check(self.target_ms, self.accuracy_power, self.alpha, self.beta)

    def __call__(self, accuracy: FloatOrArray, latency_ms: FloatOrArray) -> FloatOrArray:
        ratio = _positive(latency_ms) / self.target_ms
        exponent = self.alpha * (ratio <= 1) + self.beta * (ratio > 1)
        weight: FloatOrArray = ratio**exponent
        powered: FloatOrArray = accuracy**self.accuracy_power
        return powered * weight


@dataclass(frozen=True, slots=True)
class AbsoluteReward:
    """accuracy + beta * |latency / target - 1|, beta < 0 (TuNAS, arXiv:2008.06120, sec. 3.2)."""

    target_ms: float
    beta: float
    accuracy_power: float = 1.0

    def __post_init__(self) -> None:
        _check(self.target_ms, self.accuracy_power, self.beta)

    def __call__(self, accuracy: FloatOrArray, latency_ms: FloatOrArray) -> FloatOrArray:
        powered: FloatOrArray = accuracy**self.accuracy_power
        return powered + self.beta * abs(_positive(latency_ms) / self.target_ms - 1)


@rewards.register("soft")
def soft(target_ms: float, *, alpha: float = -0.07, beta: float = -0.07, accuracy_power: float = 1.0) -> Reward:
    """The paper's soft constraint: twice the latency costs about 5 % of the accuracy, on both sides of the target."""
    return MnasReward(target_ms, alpha, beta, accuracy_power)


@rewards.register("hard")
def hard(target_ms: float, *, alpha: float = 0.0, beta: float = -1.0, accuracy_power: float = 1.0) -> Reward:
    """The paper's hard constraint: the accuracy within the target, a sharp penalty beyond."""
    return MnasReward(target_ms, alpha, beta, accuracy_power)


@rewards.register("asymmetric")
def asymmetric(target_ms: float, *, alpha: float = 0.0, beta: float = -0.3, accuracy_power: float = 1.0) -> Reward:
    """The accuracy within the target, a firm penalty beyond: the default."""
    return MnasReward(target_ms, alpha, beta, accuracy_power)


@rewards.register("absolute")
def absolute(target_ms: float, *, beta: float = -0.07, accuracy_power: float = 1.0) -> Reward:
    """The absolute reward of TuNAS, which pulls to the target from both sides."""
    return AbsoluteReward(target_ms, beta, accuracy_power)


def check_target(target_ms: float) -> None:
    """Raise ConfigError unless `target_ms` is a positive finite number."""
    if not (math.isfinite(target_ms) and target_ms > 0):
        raise ConfigError(f"target_ms must be a positive number of milliseconds, got {target_ms}")


def _check(target_ms: float, accuracy_power: float, *exponents: float) -> None:
    check_target(target_ms)
    if not (math.isfinite(accuracy_power) and accuracy_power > 0):
        raise ConfigError(f"accuracy_power must be a positive number, got {accuracy_power}")
    if not all(math.isfinite(each) and each <= 0 for each in exponents):
        raise ConfigError(f"alpha and beta must be finite and at most 0 (latency is a cost), got {exponents}")


def _positive(latency_ms: FloatOrArray) -> FloatOrArray:
    if not np.all(latency_ms > 0):
        raise ConfigError(f"a latency must be above 0 ms, got {latency_ms}")
    return latency_ms
