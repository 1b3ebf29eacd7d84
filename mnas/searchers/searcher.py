"""The role of a searcher: it proposes encodings and learns from rewards, and knows nothing of networks or devices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mnas.errors import ConfigError
from mnas.registry import Registry
from mnas.searchers.objective import Objective
from mnas.searchers.options import check_options, parameters
from mnas.spaces import Encoding, SearchSpace, values


class Searcher(Protocol):
    """Asked for a batch, told its rewards, and so on.

    `ask` is a pure function of the seed and of what was told: asked twice it answers the same. Told the same batches
    again, a new searcher of the same seed is in the same state; that is how a run is resumed.
    """

    def ask(self, n: int) -> list[Encoding]:
        """Propose `n` encodings of the space; ConfigError where n < 1."""

    def tell(self, encodings: Sequence[Encoding], rewards: Sequence[float]) -> None:
        """Learn the rewards of encodings, in the order asked.

        Raises:
            ConfigError: unequal lengths, an encoding of another space, or a reward that is not finite. The searcher is
                then as it was.
        """


@runtime_checkable
class HasEntropy(Protocol):
    """A searcher that draws from a policy, and can say how decided it is."""

    @property
    def entropy(self) -> float:
        """Entropy of the policy in nats."""


searchers: Registry[Callable[..., Searcher]] = Registry(
    "searcher",
    (
        "mnas.searchers.random",
        "mnas.searchers.evolution",
        "mnas.searchers.local",
        "mnas.searchers.optuna",
        "mnas.searchers.reinforce",
        "mnas.searchers.ppo",
        "mnas.searchers.surrogate",
    ),
)
"""Factories `(space, seed, *, options...)`; options are annotated parameters with a default.

One that has a parameter `objective` is given the `Objective` of the search.
"""


def make_searcher(
    name: str,
    space: SearchSpace,
    seed: int,
    options: Mapping[str, object] | None = None,
    objective: Objective | None = None,
) -> Searcher:
    """Make the registered searcher `name`.

    Args:
        name: such as "random", "evolution", "reinforce", "ppo" or "surrogate".
        space: where to search.
        seed: a non-negative integer.
        options: option name -> value; what is not given is the searcher's own default.
        objective: what is known of encodings before they are trained; a searcher that asks for no `objective` goes
            without.

    Raises:
        UnknownNameError: no such searcher.
        ConfigError: an unknown or ill-typed option (the known ones are listed), a negative seed, or a searcher that
            needs an objective and is given none.
    """
    if seed < 0:
        raise ConfigError(f"seed must be at least 0, got {seed}")
    factory = searchers[name]
    checked = check_options(f"searcher {name!r}", factory, options or {}, reserved=("space", "seed", "objective"))
    if "objective" in parameters(factory):
        if objective is None:
            raise ConfigError(f"searcher {name!r} needs an objective: it goes by latency")
        checked["objective"] = objective
    return factory(space, seed, **checked)


def generator(seed: int, told: int) -> np.random.Generator:
    """The source of randomness of the `ask` that follows `told` trials."""
    return np.random.default_rng((seed, told))


def check_count(n: int) -> None:
    """Raise ConfigError unless at least one encoding is asked for."""
    if n < 1:
        raise ConfigError(f"a searcher is asked for at least 1 encoding, not {n}")


def check_told(space: SearchSpace, encodings: Sequence[Encoding], rewards: Sequence[float]) -> NDArray[np.float64]:
    """Check the arguments of `tell` and give the rewards as an array (see `Searcher.tell`)."""
    if len(encodings) != len(rewards):
        raise ConfigError(f"{len(encodings)} encodings are told with {len(rewards)} rewards")
    for encoding in encodings:
        values(space, encoding)
    told = np.asarray(rewards, np.float64)
    if not np.isfinite(told).all():
        raise ConfigError(
            f"rewards must be finite, got {told[~np.isfinite(told)][0]}; a failed trial is told a baseline"
        )
    return told


def as_encodings(batch: NDArray[np.int64]) -> list[Encoding]:
    """The rows of an int64 array (n, choices)."""
    return [tuple(row) for row in batch.tolist()]
