"""Hypothesis strategies for mnas values: any registered op, any shape it fits, any architecture of a space."""

from __future__ import annotations

from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

import mnas.ops
from mnas.errors import ShapeError
from mnas.ir import Architecture, Op, Placement, Shape, known_ops
from mnas.ir.op import Tag
from mnas.spaces import SearchSpace

_REALISTIC: dict[str, list[int]] = {
    "k": [1, 3, 5, 7], "s": [1, 2], "c": [8, 12, 16, 24], "e": [1, 3, 6], "m": [0, 0, 20], "sem": [0, 0, 4], "h": [16],
    "n": [2, 10], "kh": [1, 3, 5], "kw": [1, 3, 7], "sh": [1, 2], "sw": [1, 2], "d": [1, 2], "khh": [0, 1, 3],
    "kww": [0, 3, 7],
}  # fmt: skip


def _field(tag: Tag) -> st.SearchStrategy[Any]:
    """Values of one op field; a new integer field needs no line here, its first legal values are tried."""
    if isinstance(tag.type, tuple):
        return st.sampled_from(tag.type)
    if tag.type is float:
        return st.sampled_from([0.0, 0.0625, 0.25, 1.0])
    return st.sampled_from(_REALISTIC.get(tag.tag, [int(tag.lo), int(tag.lo) + 1]))


def _op_of(cls: type[Op]) -> st.SearchStrategy[Op]:
    return st.builds(cls, **{tag.name: _field(tag) for tag in cls.tags})


assert mnas.ops
ops: st.SearchStrategy[Op] = st.sampled_from(sorted(known_ops().values(), key=lambda cls: cls.name)).flatmap(_op_of)
shapes = st.builds(Shape, c=st.integers(1, 10).map(lambda n: 4 * n), h=st.integers(7, 20), w=st.integers(7, 20))


def _fits(placement: Placement) -> bool:
    try:
        placement.y  # noqa: B018
    except ShapeError:
        return False
    return True


placements: st.SearchStrategy[Placement] = st.builds(lambda op, x: Placement(op, (x,)), ops, shapes).filter(_fits)


@st.composite
def joined_placements(draw: st.DrawFn) -> Placement:
    """A placement that adds, multiplies or concatenates two or three inputs before its op."""
    kind = draw(st.sampled_from(["add", "mul", "cat"]))
    x, op, n = draw(shapes), draw(ops), draw(st.integers(2, 3))
    match kind:
        case "add":
            inputs = (x,) * n
        case "mul":
            inputs = (x, *[draw(st.sampled_from([x, Shape(x.c, 1, 1)])) for _ in range(n - 1)])
        case _:
            inputs = tuple(x._replace(c=draw(st.sampled_from([4, 8, 12]))) for _ in range(n))
    placement = Placement(op, inputs, kind)  # type: ignore[arg-type]
    assume(_fits(placement))
    return placement


@st.composite
def architectures(draw: st.DrawFn, space: SearchSpace) -> Architecture:
    """Any architecture of `space`."""
    return space.decode(tuple(draw(st.integers(0, len(choice.options) - 1)) for choice in space.choices))
