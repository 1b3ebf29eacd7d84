"""Operators that a runtime executes as one become one part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from math import isclose
from typing import Literal

from mnas.ir import Op
from mnas.ops.cell import Identity
from mnas.ops.primitive import Activate, Conv2d, LinearOp, NormOp, Pad, Pool2d
from mnas.reading.parts import Affine, Draft, Pads, Part

_GATED: dict[str, Literal["hswish", "swish"]] = {"hsigmoid": "hswish", "sigmoid": "swish"}
"""What x * gate(x) is."""
_CLOSE = 0.02
"""Relative tolerance of constants: those of int8 files are rounded to 1/255."""


def fuse(draft: Draft) -> tuple[list[Part], list[str]]:
    """Fuse what runtimes fuse: norms, constants, non-linearities and padding; find non-linearities written in pieces.

    Returns:
        The parts in order of execution, each with an op or a reason, and the names of operators that cost nothing.
    """
    fusing = _Fusing(draft)
    for rule in (fusing.hard, fusing.gated, fusing.norm, fusing.activation):
        fusing.apply(rule)
    return fusing.padded(), fusing.free


class _Fusing:
    """The parts by the first value they give. What a reshaping part gives stands for what it reads."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self.free = list(draft.idle)
        self._parts: dict[str, Part] = {}
        alias: dict[str, str] = {}
        for part in draft.parts:
            sources = tuple(alias.get(name, name) for name in part.sources)
            if isinstance(part.op, Identity) and len(sources) == 1:
                alias[part.values[0]] = sources[0]
                self.free += part.nodes
            else:
                self._parts[part.values[0]] = replace(part, sources=sources)
        self._readers = Counter(name for part in self._parts.values() for name in part.sources)
        self._readers.update(alias.get(name, name) for name in draft.outputs)

    def apply(self, rule: Callable[[Part], Part]) -> None:
        """Rewrite each part by a rule, in order of execution."""
        for value in list(self._parts):
            self._parts[value] = rule(self._parts[value])

    def hard(self, part: Part) -> Part:
        """relu6(x + 3) / 6, times x or not."""
        if not (_is(part, "scale", 1 / 6) and (maker := self._alone(part.sources[0]))):
            return part
        if found := self._hard_gate(maker):
            clip, shift = found
            return self._merged(part, [shift, clip], Activate("hsigmoid"))
        for x, name in _orders(maker):
            gate = self._alone(name)
            found = self._hard_gate(gate) if gate else None
            if found and found[1].sources == (x,):
                return self._merged(part, [found[1], found[0], maker], Activate("hswish"))
        return part

    def _hard_gate(self, part: Part) -> tuple[Part, Part] | None:
        """Clip and shift where `part` is the clip of a value shifted by 3."""
        shift = self._alone(part.sources[0]) if part.op == Activate("relu6") else None
        return (part, shift) if shift and _is(shift, "shift", 3) else None

    def gated(self, part: Part) -> Part:
        """A value times its own gate."""
        for x, name in _orders(part):
            gate = self._alone(name)
            if gate and isinstance(gate.op, Activate) and gate.op.act in _GATED and gate.sources == (x,):
                return self._merged(part, [gate], Activate(_GATED[gate.op.act]))
        return part

    def norm(self, part: Part) -> Part:
        """Norms and constants: into the convolution before them, or one norm of a scale and a shift."""
        if not isinstance(part.op, Affine | NormOp):
            return part
        maker = self._alone(part.sources[0])
        if maker and self._draft.folds and isinstance(maker.op, Conv2d | LinearOp):
            return self._merged(part, [maker], maker.op)
        if maker and maker.op == NormOp() and part.op != NormOp() and maker.operator in ("Mul", "MUL"):
            return self._merged(part, [maker], NormOp())
        return replace(part, op=NormOp())

    def activation(self, part: Part) -> Part:
        """A non-linearity: into what makes the value that it alone reads."""
        maker = self._alone(part.sources[0]) if isinstance(part.op, Activate) else None
        if not maker or not isinstance(part.op, Activate):
            return part
        match maker.op:
            case Conv2d(act="none") | LinearOp(act="none") | NormOp(act="none"):
                return self._merged(part, [maker], replace(maker.op, act=part.op.act))
            case Identity():
                return self._merged(part, [maker], part.op)
        return part

    def padded(self) -> list[Part]:
        """The parts in order, the padding of each convolution and pool decided."""
        parts: dict[str, Part] = {}
        for value, part in self._parts.items():
            if part.pads is not None and isinstance(part.op, Conv2d | Pool2d):
                for each in self._decided(part, part.op, part.pads):
                    parts[each.values[0]] = each
            else:
                parts[value] = part
        read = {name for part in parts.values() for name in part.sources} | set(self._draft.outputs)
        unread = [value for value, part in parts.items() if isinstance(part.op, Pad) and value not in read]
        self.free += [name for value in unread for name in parts[value].nodes]
        return [part for value, part in parts.items() if value not in unread]

    def _decided(self, part: Part, op: Conv2d | Pool2d, pads: Pads) -> list[Part]:
        """SAME where it gives as many outputs; else no padding, after a pad of its own if there is one."""
        source, y = part.sources[0], self._draft.tensors[part.values[0]].shape
        if (maker := self._parts.get(source)) and isinstance(maker.op, Pad):
            source, before = maker.sources[0], maker.op
            pads = (pads[0] + before.top, pads[1] + before.left, pads[2] + before.bottom, pads[3] + before.right)
        x = self._draft.tensors[source].shape
        if x and y and (y.h, y.w) == (-(-x.h // op.sh), -(-x.w // op.sw)):
            return [replace(part, sources=(source,))]
        part = replace(part, op=replace(op, padding="valid"), sources=(source,))
        top, left, bottom, right = pads
        if x and y:  # rounded up, the last window may reach outside
            bottom = max(bottom, (y.h - 1) * op.sh + _reach(op)[0] - x.h - top)
            right = max(right, (y.w - 1) * op.sw + _reach(op)[1] - x.w - left)
        if not any((top, left, bottom, right)):
            return [part]
        padded = f"{source} before {part.values[0]}"
        pad = Part((), "padding", (source,), (padded,), Pad(top, bottom, left, right))
        return [pad, replace(part, sources=(padded,))]

    def _alone(self, name: str) -> Part | None:
        """The part that gives a value which is read once."""
        return self._parts.get(name) if self._readers[name] == 1 else None

    def _merged(self, part: Part, makers: list[Part], op: Op) -> Part:
        """`part` and what makes its inputs as one part that reads what the first of those reads."""
        first = makers[0]
        for each in (*makers, part):
            self._readers.subtract(each.sources)
        self._readers.update(first.sources)
        for each in makers:
            del self._parts[each.values[0]]
        nodes = tuple(name for each in (*makers, part) for name in each.nodes)
        operator = "+".join(dict.fromkeys(each.operator for each in (*makers, part)))
        macs = sum(each.macs for each in (*makers, part))
        return Part(nodes, operator, first.sources, part.values, op, first.join, first.pads, macs=macs)


def _reach(op: Conv2d | Pool2d) -> tuple[int, int]:
    """Rows and columns that a window covers."""
    dh, dw = (op.dh, op.dw) if isinstance(op, Conv2d) else (1, 1)
    return (op.kh - 1) * dh + 1, (op.kw - 1) * dw + 1


def _is(part: Part, kind: str, number: float) -> bool:
    op = part.op
    known = op.number if isinstance(op, Affine) and op.kind == kind else None
    return known is not None and isclose(known, number, rel_tol=_CLOSE)


def _orders(part: Part) -> list[tuple[str, str]]:
    """The two sources of a product, in either order."""
    if isinstance(part.op, Identity) and part.join == "mul" and len(part.sources) == 2:
        first, second = part.sources
        return [(first, second), (second, first)]
    return []
