"""How others key the rows of their latency tables, in terms of our placements.

Once-for-all (arXiv:1908.09791) and ProxylessNAS (arXiv:1812.00332) use the words of one code base. `expand` is the
number of middle channels in Once-for-all and a ratio in ProxylessNAS, which has neither `se` nor `hs`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple

from mnas.errors import FormatError, MnasError
from mnas.ir import Op, Placement, Shape
from mnas.latency.keys import Key
from mnas.ops.mobile import ConvBlock, Head, HeadV3, MBConv, Nonlinearity, SepConv, Skip
from mnas.spaces.mnasnet import round_width

Dialect = Literal["ofa", "proxylessnas"]

_STEM_KERNEL = 3
"""Of the first convolution in both code bases; keys do not say it."""
_SQUEEZE = 4
"""Middle channels per squeezed channel of Once-for-all and MobileNetV3, before rounding to multiples of 8."""
_MOST_RATIO = 64
"""Larger or broken expansions are written as middle channels."""
_MOST_HEADS = 1000
_BOTH: tuple[Nonlinearity, ...] = ("relu", "relu6")
"""A ProxylessNAS row stands for both: its keys do not tell them apart."""
_HEAD: dict[Dialect, tuple[str, ...]] = {
    "ofa": ("Conv_1", "AvgPool2D", "Conv_2", "Logits"),
    "proxylessnas": ("Conv_1", "Logits"),
}
"""Layers of a classifier, in order; the `Logits` of ProxylessNAS pool first."""
_BLOCK: dict[Dialect, tuple[str, ...]] = {
    "ofa": ("input", "output", "expand", "kernel", "stride", "idskip", "se", "hs"),
    "proxylessnas": ("input", "output", "expand", "kernel", "stride", "idskip"),
}


class Block(NamedTuple):
    """Keys that are the measured parts of one block, and the placements that this block is here."""

    keys: tuple[str, ...]
    placements: tuple[Placement, ...]


class Reading(NamedTuple):
    """What the keys of a table say, and why some of them say nothing, by key."""

    dialect: Dialect
    blocks: tuple[Block, ...]
    unsaid: Mapping[str, str]


def read_keys(texts: Iterable[str], dialect: Dialect | None = None) -> Reading:
    """Find the placements that keys name.

    The parts of a classifier, which these tables time layer by layer, become one head: `Conv_1`, `AvgPool2D`, `Conv_2`
    and `Logits` of Once-for-all a `headv3`, `Conv_1` and `Logits` of ProxylessNAS a `head`.

    Args:
        texts: the keys.
        dialect: whose they are; told by their fields when not given.

    Raises:
        FormatError: a key that is malformed, contradicts itself, or names the block of another key.
    """
    keys = [Key.parse(text) for text in texts]
    chosen = dialect or _detected(keys)
    blocks: list[Block] = []
    unsaid: dict[str, str] = {}
    parts: dict[str, list[Key]] = {name: [] for name in _HEAD[chosen]}
    for key in keys:
        if key.name == "Conv":
            blocks.append(_stem(key, chosen))
        elif key.name == "expanded_conv":
            if block := _block(key, chosen):
                blocks.append(block)
            else:
                unsaid[key.text] = "squeeze-and-excite without expansion is no op of mnas"
        elif key.name in parts:
            _check_part(key)
            parts[key.name].append(key)
        else:
            unsaid[key.text] = f"no layer of {chosen} tables is called {key.name}"
    heads = [_head(chain, chosen) for chain in _chains(list(parts.values()))]
    used = {text for head in heads for text in head.keys}
    for key in (key for each in parts.values() for key in each if key.text not in used):
        unsaid[key.text] = f"part of no whole classifier ({', '.join(_HEAD[chosen])})"
    blocks += heads
    _check_distinct(blocks)
    return Reading(chosen, tuple(blocks), unsaid)


def _detected(keys: Iterable[Key]) -> Dialect:
    return "ofa" if any("se" in key.fields or key.name in ("AvgPool2D", "Conv_2") for key in keys) else "proxylessnas"


def _stem(key: Key, dialect: Dialect) -> Block:
    key.check_fields("input", "output")
    x, y = key.shape("input"), key.shape("output")
    acts: tuple[Nonlinearity, ...] = ("hswish",) if dialect == "ofa" else _BOTH
    stride = max(1, round(x.h / y.h))
    return _placed([key], x, y, (ConvBlock(y.c, _STEM_KERNEL, stride, act) for act in acts))


def _block(key: Key, dialect: Dialect) -> Block | None:
    """An inverted bottleneck; nothing if it gates without expanding, which no op of ours does."""
    key.check_fields(*_BLOCK[dialect])
    x, y = key.shape("input"), key.shape("output")
    k, s, middle = key.number("kernel", 1, 15), key.number("stride", 1, 8), key.number("expand")
    adds = key.number("idskip", 0, 1)
    if adds and x != y:
        raise key.wrong(f"idskip:1 adds the input {x} to the output {y}, which has another shape")
    skip: Skip = "none" if x == y and not adds else "identity"
    acts, squeezed = _BOTH, 0
    if dialect == "ofa":
        acts = ("hswish",) if key.number("hs", 0, 1) else ("relu",)
        squeezed = round_width(middle / _SQUEEZE) if key.number("se", 0, 1) else 0
    else:
        middle *= x.c
    if middle == x.c:
        return None if squeezed else _placed([key], x, y, (SepConv(y.c, k, s, act, skip) for act in acts))
    return _placed([key], x, y, (_sized(MBConv(y.c, k, s, act=act, skip=skip), x.c, middle, squeezed) for act in acts))


def _sized(op: MBConv, x: int, middle: int, squeezed: int) -> MBConv:
    """Give an MBConv its middle in the text that architectures use: a ratio where it is whole, a gate if it has one."""
    ratio, rest = divmod(middle, x)
    op = replace(op, middle=middle) if rest or ratio > _MOST_RATIO else replace(op, e=ratio)
    return replace(op, squeezed=squeezed, gate="hsigmoid") if squeezed else op


def _check_part(key: Key) -> None:
    """Make sure that a layer of a classifier does what its name says."""
    key.check_fields("input", "output")
    x = key.shape("input")
    if key.name == "Logits":
        key.number("output")
    elif key.shape("output") != (Shape(x.c, 1, 1) if key.name == "AvgPool2D" else x._replace(c=key.shape("output").c)):
        raise key.wrong(f"{key.name} does not make {key.shape('output')} of {x}")


def _chains(layers: Sequence[Sequence[Key]]) -> list[tuple[Key, ...]]:
    """Every way in which layers of a classifier follow one another."""
    chains: list[tuple[Key, ...]] = [(first,) for first in layers[0]]
    for layer in layers[1:]:
        by_input: dict[str, list[Key]] = {}
        for key in layer:
            by_input.setdefault(key.fields["input"], []).append(key)
        chains = [(*chain, key) for chain in chains for key in by_input.get(chain[-1].fields["output"], ())]
        if len(chains) > _MOST_HEADS:
            raise FormatError(
                f"more than {_MOST_HEADS} classifiers can be put together: no published table has as many"
            )
    return chains


def _head(parts: Sequence[Key], dialect: Dialect) -> Block:
    x, c, classes = parts[0].shape("input"), parts[0].shape("output").c, parts[-1].number("output")
    y = Shape(classes, 1, 1)
    if dialect == "ofa":
        return _placed(parts, x, y, iter([HeadV3(c, parts[2].shape("output").c, classes)]))
    return _placed(parts, x, y, (Head(c, classes, act) for act in _BOTH))


def _placed(keys: Sequence[Key], x: Shape, y: Shape, ops: Iterator[Op]) -> Block:
    """The block of keys; ops that do not fit the shapes are the fault of the first key."""
    try:
        placements = tuple(Placement(op, (x,)) for op in ops)
        given = {placement: placement.y for placement in placements}
    except MnasError as error:
        raise keys[0].wrong(error) from error
    for placement, shape in given.items():
        if shape != y:
            raise keys[0].wrong(f"{placement} gives {shape}, the row says {y}")
    return Block(tuple(key.text for key in keys), placements)


def _check_distinct(blocks: Iterable[Block]) -> None:
    owner: dict[Placement, Block] = {}
    for block in blocks:
        for placement in block.placements:
            if placement in owner:
                raise FormatError(f"row {block.keys[0]!r}: {placement} is the row {owner[placement].keys[0]!r} too")
            owner[placement] = block
