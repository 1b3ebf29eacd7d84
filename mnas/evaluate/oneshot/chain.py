"""Paths through a chain space: which ops can stand where, and which of them a network consists of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import product
from typing import NamedTuple

import numpy as np

from mnas.errors import ConfigError
from mnas.ir import Architecture, Op, Shape
from mnas.spaces import ChainSpace, Encoding, SearchSpace, spaces
from mnas.spaces.protocol import Option, values


class Placed(NamedTuple):
    """An op of a path.

    Attributes:
        segment: of the space.
        ordinal: how many ops of its kind there are before it in the segment. The stem and the head have a fixed one,
            however many layers the segment has.
        op: the op.
        x: the shape it reads.
    """

    segment: int
    ordinal: int
    op: Op
    x: Shape


Path = tuple[Placed, ...]
"""The ops of a network in order of execution."""
_Ops = tuple[Op, ...]


class Chain:
    """All paths of a space.

    Args:
        space: a `ChainSpace`.

    Raises:
        ConfigError: a space of another kind (those that will do are named).
    """

    def __init__(self, space: SearchSpace) -> None:
        self.space = check_chain(space)
        self._drawable: dict[tuple[int, Shape], list[list[tuple[int, ...]]]] = {}
        self._segments: list[dict[Shape, dict[_Ops, Shape]]] = []
        shapes: dict[Shape, None] = {space.x: None}
        for segment in range(len(self.space.segments)):
            reading = {x: self._enumerated(segment, x) for x in shapes}
            self._segments.append(reading)
            shapes = dict.fromkeys(y for ops in reading.values() for y in ops.values())
        self._widened: dict[tuple[int, Shape, tuple[Option, ...]], tuple[int, ...]] = {}
        self._rivals: dict[tuple[int, int, Shape, Shape], dict[Placed, None]] = {}
        for placed, index in self._everywhere():
            key = (placed.segment, index, placed.x, placed.op.out_shape(placed.x))
            self._rivals.setdefault(key, {})[placed] = None

    def path(self, encoding: Encoding) -> Path:
        """The path that an encoding stands for."""
        chosen, x, parts = values(self.space, encoding), self.space.x, []
        for segment, decided in enumerate(self.space.segments):
            ops, y = self.space.extend(segment, tuple(chosen[i] for i in decided), x)
            parts.append((ops, x))
            x = y
        return _joined(parts)

    def recognise(self, architecture: Architecture) -> Path:
        """The path of a network; where several segmentations give one network, always the same of them.

        Raises:
            ConfigError: not a network of the space.
        """
        ops = tuple(node.op for node in architecture.nodes)
        straight = all(node.sources == (i,) for i, node in enumerate(architecture.nodes))
        parts = self._split(0, self.space.x, ops) if straight and architecture.x == self.space.x else None
        if parts is None:
            raise ConfigError(
                f"this network is none of space {self.space.name} for inputs {self.space.x} and {self.space.classes} "
                f"classes, and so has no shared weights:\n{architecture}"
            )
        return _joined(parts)

    def draw(self, rng: np.random.Generator) -> Encoding:
        """Draw an encoding of which, in every segment, all kinds of ops are equally likely.

        Uniform draws would train those weights most that most options share.
        """
        out = [0] * len(self.space.choices)
        x = self.space.x
        for segment, decided in enumerate(self.space.segments):
            kinds = self._drawable[segment, x]
            options = kinds[int(rng.integers(len(kinds)))]
            picked = options[int(rng.integers(len(options)))]
            for i, option in zip(decided, picked, strict=True):
                out[i] = option
            chosen = tuple(self.space.choices[i].options[out[i]] for i in decided)
            x = self.space.extend(segment, chosen, x)[1]
        return tuple(out)

    def widest(self, encoding: Encoding) -> Encoding:
        """The same with as many channels as the space has: options that decide widths are those of the most."""
        out, x = list(encoding), self.space.x
        for segment, decided in enumerate(self.space.segments):
            chosen = tuple(self.space.choices[i].options[encoding[i]] for i in decided)
            key = (segment, x, chosen)
            if key not in self._widened:
                self._widened[key] = tuple(self._widest_option(segment, x, chosen, k) for k in range(len(decided)))
            for i, option in zip(decided, self._widened[key], strict=True):
                out[i] = option
            x = self.space.extend(segment, tuple(self.space.choices[i].options[out[i]] for i in decided), x)[1]
        return tuple(out)

    def everything(self) -> Iterator[Placed]:
        """Every op at every place and shape of some path, once."""
        yield from dict.fromkeys(placed for placed, _ in self._everywhere())

    def rivals(self, path: Path) -> Iterator[tuple[Placed, ...]]:
        """For every op of a path, all ops that the space can put there and that read and give the same shapes."""
        index, segment = 0, 0
        for placed in path:
            index = index if placed.segment == segment else 0
            segment = placed.segment
            yield tuple(self._rivals[segment, index, placed.x, placed.op.out_shape(placed.x)])
            index += 1

    def _enumerated(self, segment: int, x: Shape) -> dict[_Ops, Shape]:
        choices = [self.space.choices[i].options for i in self.space.segments[segment]]
        out, kinds = dict[_Ops, Shape](), dict[frozenset[str], list[tuple[int, ...]]]()
        for picked in product(*(range(len(options)) for options in choices)):
            ops, y = self.space.extend(segment, tuple(o[i] for o, i in zip(choices, picked, strict=True)), x)
            out[tuple(ops)] = y
            kinds.setdefault(frozenset(op.name for op in ops), []).append(picked)
        self._drawable[segment, x] = list(kinds.values())
        return out

    def _everywhere(self) -> Iterator[tuple[Placed, int]]:
        for segment, reading in enumerate(self._segments):
            for x, every in reading.items():
                for ops in every:
                    yield from zip(_placed(segment, ops, x), range(len(ops)), strict=True)

    def _split(self, segment: int, x: Shape, ops: _Ops) -> list[tuple[_Ops, Shape]] | None:
        if segment == len(self._segments):
            return None if ops else []
        for head, y in self._segments[segment].get(x, {}).items():
            if ops[: len(head)] == head:
                rest = self._split(segment + 1, y, ops[len(head) :])
                if rest is not None:
                    return [(head, x), *rest]
        return None

    def _widest_option(self, segment: int, x: Shape, chosen: tuple[Option, ...], k: int) -> int:
        """The option of choice `k` of the segment that gives the most channels, as many ops as `chosen` has."""
        options = self.space.choices[self.space.segments[segment][k]].options

        def channels(option: Option) -> tuple[int, ...]:
            ops, _ = self.space.extend(segment, (*chosen[:k], option, *chosen[k + 1 :]), x)
            return tuple(placed.op.out_shape(placed.x).c for placed in _placed(segment, ops, x))

        own = channels(chosen[k])
        rivals = [(channels(option), option) for option in options]
        best, option = max(((c, o) for c, o in rivals if len(c) == len(own)), key=lambda pair: pair[0])
        return options.index(option if best != own else chosen[k])


def check_chain(space: SearchSpace) -> ChainSpace:
    """Raise ConfigError unless networks of the space can share weights (the spaces that will do are named)."""
    if isinstance(space, ChainSpace):
        return space
    raise ConfigError(
        f"space {space.name} cannot share weights: its networks are no chains of segments; spaces that can: "
        f"{', '.join(_chains())}"
    )


def _chains() -> Iterator[str]:
    for name in spaces:
        with suppress(ConfigError):  # a space that is made from a file
            if isinstance(spaces[name](), ChainSpace):
                yield name


def _joined(parts: Sequence[tuple[Sequence[Op], Shape]]) -> Path:
    return tuple(placed for segment, (ops, x) in enumerate(parts) for placed in _placed(segment, ops, x))


def _placed(segment: int, ops: Sequence[Op], x: Shape) -> Iterator[Placed]:
    seen: dict[str, int] = {}
    for op in ops:
        ordinal = seen.get(op.name, 0)
        seen[op.name] = ordinal + 1
        yield Placed(segment, ordinal, op, x)
        x = op.out_shape(x)
