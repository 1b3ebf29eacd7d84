"""What a search space is: named decisions, and how to read them as a network.

Whatever learns sees encodings only: one option index per choice, fixed length. Batches are int64 arrays (n, choices).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mnas.errors import ConfigError
from mnas.ir import Architecture, Op, Placement, Shape
from mnas.registry import Registry

Encoding = tuple[int, ...]
"""One option index per choice, in the order of `SearchSpace.choices`; inactive choices are 0."""
Option = int | float | str


@dataclass(frozen=True, slots=True)
class Choice:
    """One decision, by name, and its options in order."""

    name: str
    options: tuple[Option, ...]


class SearchSpace(Protocol):
    """All that searchers and profilers know of a space."""

    @property
    def name(self) -> str:
        """The name it is registered under."""

    @property
    def x(self) -> Shape:
        """Shape of the network's input."""

    @property
    def classes(self) -> int:
        """Number of classes of the network's output."""

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The decisions."""

    def decode(self, encoding: Encoding) -> Architecture:
        """Read an encoding as a network; ConfigError where it is not one of this space."""

    def placements(self) -> Iterable[Placement]:
        """Yield every placement that some encoding can hold, once each: the rows of a latency table."""


@runtime_checkable
class ChainSpace(SearchSpace, Protocol):
    """A space whose networks are chains of segments; optional, it makes exact prices of many encodings cheap.

    What a segment is made of follows from its own choices and the shape it reads.
    """

    @property
    def segments(self) -> tuple[tuple[int, ...], ...]:
        """Which `choices` are decided by each segment, in the order of execution; every choice is in one segment."""

    def extend(self, segment: int, chosen: tuple[Option, ...], x: Shape) -> tuple[Sequence[Op], Shape]:
        """The ops of a segment that reads shape `x`, by the options of its choices, and the shape they give.

        The ops of all segments in order are the network that `decode` reads.
        """


@runtime_checkable
class ConditionalSpace(SearchSpace, Protocol):
    """A space in which some choices matter only where others ask for them; optional. `decode` ignores the rest."""

    def active(self, encodings: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which choices matter in each of encodings (n, choices), (n, choices)."""


@runtime_checkable
class GrowingSpace(SearchSpace, Protocol):
    """A space that a controller explores from small networks to large ones; optional, other searchers see it whole.

    A controller asks before every batch how many options are open after the encodings told so far, and draws from
    those: the logits of the others are masked. Options open in order and stay open.
    """

    def open_options(self, samples: int) -> NDArray[np.int64]:
        """Number of the first options of every choice that are open after `samples` encodings, (choices,)."""


@runtime_checkable
class EncodingSpace(SearchSpace, Protocol):
    """A space that reads networks back; optional, tables of results need it."""

    def encode(self, architecture: Architecture) -> Encoding:
        """The encoding that `decode` reads as this network, in its spelling; ConfigError where there is none."""


SpaceFactory = Callable[..., SearchSpace]
spaces: Registry[SpaceFactory] = Registry(
    "search space",
    (
        "mnas.spaces.mnasnet",
        "mnas.spaces.nasbench201",
        "mnas.spaces.nasnet",
        "mnas.spaces.nasrl",
        "mnas.spaces.primitives",
    ),
)


def space(
    name: str, *, classes: int | None = None, image_size: int | None = None, channels: int | None = None
) -> SearchSpace:
    """Make the registered search space `name`; what is not given is the space's own default.

    Args:
        name: such as "mnasnet" (224 px) or "mnasnet-small" (28-32 px).
        classes: number of classes.
        image_size: height and width of the input in pixels.
        channels: channels of the input.

    Raises:
        UnknownNameError: no such space.
        ConfigError: a value out of range.
    """
    given = {"classes": classes, "image_size": image_size, "channels": channels}
    for key, value in given.items():
        if value is not None and value < 1:
            raise ConfigError(f"{key} must be at least 1, got {value}")
    return spaces[name](**{key: value for key, value in given.items() if value is not None})


def values(space: SearchSpace, encoding: Encoding) -> tuple[Option, ...]:
    """The chosen option of every choice.

    Raises:
        ConfigError: of another length, or an index without an option.
    """
    choices = space.choices
    if len(encoding) != len(choices):
        raise ConfigError(f"space {space.name} has {len(choices)} choices, the encoding has {len(encoding)}")
    for choice, index in zip(choices, encoding, strict=True):
        if not 0 <= index < len(choice.options):
            raise ConfigError(f"choice {choice.name} has options 0..{len(choice.options) - 1}, got {index}")
    return tuple([choice.options[index] for choice, index in zip(choices, encoding, strict=True)])


def size(space: SearchSpace) -> int:
    """Number of encodings (not of distinct architectures)."""
    return prod(len(choice.options) for choice in space.choices)


def arity(space: SearchSpace) -> NDArray[np.int64]:
    """Number of options of every choice, (choices,)."""
    return np.array([len(choice.options) for choice in space.choices], np.int64)


def active(space: SearchSpace, encodings: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which choices of encodings (n, choices) matter, (n, choices): all, but in a `ConditionalSpace`."""
    return space.active(encodings) if isinstance(space, ConditionalSpace) else np.ones_like(encodings, bool)


def pruned(space: SearchSpace, encodings: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same networks, inactive choices 0; encodings are (n, choices)."""
    return np.where(active(space, encodings), encodings, 0)


def sample(space: SearchSpace, rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    """Draw `n` encodings uniformly, (n, choices); inactive choices are 0."""
    return pruned(space, rng.integers(0, arity(space), size=(n, len(space.choices))))


def sample_biased(space: SearchSpace, rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    """Draw `n` encodings that span the space, (n, choices).

    Uniform draws of many choices all cost about the same. Here every network draws its own bias u in 0..1 and then
    each index from a binomial of u, so that networks of small and of large options both occur.
    """
    bias = rng.uniform(size=(n, 1))
    return pruned(space, rng.binomial(arity(space) - 1, bias).astype(np.int64))


def mutate(space: SearchSpace, encoding: Encoding, rng: np.random.Generator) -> Encoding:
    """Change exactly one active decision to another option, uniformly; what it makes inactive becomes 0.

    Raises:
        ConfigError: no choice of the space has two options.
    """
    counts = arity(space)
    free = np.flatnonzero((counts > 1) & active(space, np.array([encoding], np.int64))[0])
    if not len(free):
        raise ConfigError(f"space {space.name} holds one network only: there is nothing to search")
    at = int(rng.choice(free))
    other = (encoding[at] + int(rng.integers(1, counts[at]))) % int(counts[at])
    child = np.array([(*encoding[:at], other, *encoding[at + 1 :])], np.int64)
    return tuple(pruned(space, child)[0].tolist())
