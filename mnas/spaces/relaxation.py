"""A whole space as one network: every decision a softmax, every op that it decides a weighted candidate.

What DARTS (arXiv:1806.09055, sec. 2.2) and ProxylessNAS (arXiv:1812.00332) train. A space says what its candidates are;
the network, its gradients and its expected latency follow from that (`mnas.evaluate.supernet`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mnas.ir import Node, Op, Shape
from mnas.spaces.protocol import Choice, Encoding, SearchSpace

Condition = tuple[tuple[int, tuple[int, ...]], ...]
"""Decisions, each with those of its options under which something is there; all must hold, and nothing always does."""
Probabilities = Sequence[NDArray[np.float64]]
"""Of the options of every decision, (options,) each."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An op that reads one value; its weight is the probability that `when` holds, decisions being independent."""

    op: Op
    source: int
    when: Condition = ()


class Widths(NamedTuple):
    """A decision on the number of channels.

    Attributes:
        decision: which.
        channels: those of every option, of which the candidates have the most.
        read: whether the value that the candidates read was weighted by it before.
    """

    decision: int
    channels: tuple[int, ...]
    read: bool = False


@dataclass(frozen=True, slots=True)
class Mixture:
    """A weighted sum of candidates.

    Attributes:
        candidates: what is added.
        kept: how many of the candidates a network of the space holds; it adds them.
        widths: what decides how many channels count: a channel is weighted by the probability that there are more.
    """

    candidates: tuple[Candidate, ...]
    kept: int = 1
    widths: Widths | None = None


@dataclass(frozen=True)
class Relaxation:
    """A network with mixtures; values are numbered as in an `Architecture`.

    Attributes:
        x: shape of the input.
        decisions: what there is a softmax of. They need not be the choices of the space.
        nodes: in order of execution; the last one is the output.
    """

    x: Shape
    decisions: tuple[Choice, ...]
    nodes: tuple[Node | Mixture, ...]

    @cached_property
    def mixtures(self) -> tuple[Mixture, ...]:
        """The nodes that are decided."""
        return tuple(node for node in self.nodes if isinstance(node, Mixture))

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """Every condition of a candidate, once."""
        return tuple(dict.fromkeys(each.when for node in self.mixtures for each in node.candidates))

    @property
    def undecided(self) -> tuple[Choice, ...]:
        """Decisions of several options that nothing in the network depends on: no gradient reaches them."""
        used = {decision for condition in self.conditions for decision, _ in condition}
        used |= {node.widths.decision for node in self.mixtures if node.widths}
        return tuple(each for i, each in enumerate(self.decisions) if i not in used and len(each.options) > 1)


@runtime_checkable
class RelaxedSpace(SearchSpace, Protocol):
    """A space that can be searched by gradients; optional."""

    @property
    def priced(self) -> Relaxation:
        """The whole space as one network, at its own size: what an expected latency is of."""

    def relax(self, cells: int | None = None, channels: int | None = None) -> Relaxation:
        """The same decisions in a network that is small enough to be trained.

        Args:
            cells: stack so many cells, counted as the space counts them, in place of its own choice.
            channels: width of the first cells, in place of the space's own choice.

        Raises:
            ConfigError: a size that the space cannot be given.
        """

    def discretise(self, probabilities: Probabilities) -> Encoding:
        """The encoding that probabilities of the decisions of `relax` stand for."""

    def identity_share(self, encoding: Encoding) -> float:
        """Share of the searched places, 0..1, at which a network hands on what it reads as it is."""


def options_of(choices: Iterable[tuple[int, ...]]) -> Condition:
    """The condition under which decisions 0, 1, ... take one of `choices` (rows of option indices).

    Raises:
        ValueError: `choices` are not all combinations of some options of every decision.
    """
    rows = set(choices)
    columns = [tuple(sorted(set(column))) for column in zip(*rows, strict=True)]
    if len(rows) != np.prod([len(column) for column in columns]):
        raise ValueError(f"no product of options: {sorted(rows)}")
    return tuple(enumerate(columns))
