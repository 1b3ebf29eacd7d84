"""Which operator of a model file each row of a profile stems from.

Without a delegate a row is an operator of the file and names its output tensors. A delegate stands for many operators:
XNNPACK lists its own, numbered in order of execution but without tensors. They are matched with the operators of the
file one by one, by kind; found by experiment with XNNPACK of LiteRT 2.3, which adds two kinds of its own: a reshape of
what a fully connected layer reads, which belongs to the operator after it, and a clamp for an activation that was fused
into an operator other than a convolution, which belongs to that operator.

That works only where XNNPACK runs all that it takes as one part, in the order of the file. If what it leaves to the
built-in kernels (int8 average pools, int8 RELU, concatenations of six) is read by what it takes, it comes in several
parts, each numbered from 0, that do not tell which operators they hold; and some versions add up all rows of one kind.
Such profiles are refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from mnas.errors import CheckError
from mnas.lower.formats import parse_tflite, tflite_kinds
from mnas.runtimes.benchmark.opprofile import OpTime

_NODE = re.compile(r"\[(.*)\]:\d+")
_INNER = re.compile(r"Delegate/(.*):(\d+)")
_DELEGATE = re.compile(r"TfLite\w*Delegate\w*")
_CONVOLUTION = ("Convolution", "Fully Connected")
_KINDS = {
    "CONV_2D": _CONVOLUTION, "DEPTHWISE_CONV_2D": _CONVOLUTION, "FULLY_CONNECTED": _CONVOLUTION,
    "MEAN": ("Mean", "Global Average Pooling"), "AVERAGE_POOL_2D": ("Average Pooling",),
    "MAX_POOL_2D": ("Max Pooling",), "REDUCE_MAX": ("Reduce Max", "Max"), "ADD": ("Add",), "MUL": ("Multiply",),
    "SUB": ("Subtract",), "RELU": ("Clamp",), "RELU6": ("Clamp",), "LOGISTIC": ("Sigmoid",),
    "HARD_SWISH": ("HardSwish",), "TANH": ("Tanh",), "CONCATENATION": ("Concatenate", "Copy"),
    "SLICE": ("Slice",), "STRIDED_SLICE": ("Slice",), "PAD": ("Constant Pad",), "RESHAPE": ("Static Reshape", "Copy"),
    "QUANTIZE": ("Convert",), "DEQUANTIZE": ("Convert",), "SOFTMAX": ("Softmax",),
}  # fmt: skip
"""How XNNPACK calls an operator of TensorFlow Lite, up to the first parenthesis."""
_CLAMP, _RESHAPE = "Clamp", "Static Reshape"
_FUSED = "fusedActivationFunction"
_REMEDY = "measure isolated rows (--rows isolated), or without the delegate (--delegate cpu)"


class FileOperator(NamedTuple):
    """An operator of a TFLite file: its kind, its first output, and whether an activation was fused into it."""

    kind: str
    tensor: str
    fused: bool


def file_operators(model: bytes) -> list[FileOperator]:
    """The operators of a TFLite file in order.

    Raises:
        FormatError: not a complete file.
    """
    parsed = parse_tflite(model)
    graph, kinds = parsed.subgraphs[0], tflite_kinds(parsed)
    tensors = [tensor.name.decode() for tensor in graph.tensors]
    return [
        FileOperator(kind, tensors[operator.outputs[0]], bool(getattr(operator.builtinOptions, _FUSED, 0)))
        for kind, operator in zip(kinds, graph.operators, strict=False)
    ]


class Attributed(NamedTuple):
    """A row of a profile with the tensor of the file that it belongs to, empty if there is none."""

    op: OpTime
    tensor: str


def attribute(rows: Sequence[OpTime], operators: Sequence[FileOperator]) -> list[Attributed]:
    """Find the tensors of all rows; the row of a delegate as a whole is left out where its own ops are listed.

    Raises:
        CheckError: the ops of a delegate cannot be told apart, or are not listed.
    """
    inner = [(row, found) for row in rows if (found := _INNER.fullmatch(row.name))]
    outer = [row for row in rows if not _INNER.fullmatch(row.name) and not _DELEGATE.fullmatch(row.kind)]
    delegates = [row for row in rows if _DELEGATE.fullmatch(row.kind)]
    if delegates and not inner:
        raise CheckError(f"{delegates[0].kind} tells no times of the ops that it runs: {_REMEDY}")
    direct = [Attributed(row, _first_output(row)) for row in outer]
    if not inner:
        return direct
    return direct + _aligned(sorted(inner, key=lambda each: int(each[1][2])), direct, operators, len(delegates))


def _first_output(row: OpTime) -> str:
    """The first output tensor that a name tells."""
    found = _NODE.fullmatch(row.name)
    return found[1].split(", ")[0] if found else ""


def _aligned(
    inner: Sequence[tuple[OpTime, re.Match[str]]],
    direct: Sequence[Attributed],
    operators: Sequence[FileOperator],
    delegates: int,
) -> list[Attributed]:
    """Walk the operators of a file and those of its delegate together."""
    run = [each for each in direct if each.tensor]
    own = {each.tensor for each in run}
    rest, at = [operator for operator in operators if operator.tensor not in own], 0
    numbered = [int(found[2]) for _, found in inner] == list(range(len(inner)))
    if delegates > 1 or not numbered or any(row.calls != 1 for row, _ in inner):
        raise CheckError(f"the delegate runs this network in parts whose ops cannot be told apart: {_REMEDY}")
    matched: list[Attributed] = []
    for row, named in inner:
        word = named[1].split(" (")[0]
        after = rest[at] if at < len(rest) else None
        before = rest[at - 1] if at else None
        if word == _CLAMP and before and before.fused and before.kind not in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            matched.append(Attributed(row, before.tensor))
            rest[at - 1] = before._replace(fused=False)
        elif after and word in _KINDS.get(after.kind, ()):
            matched.append(Attributed(row, after.tensor))
            at += 1
        elif after and word == _RESHAPE:
            matched.append(Attributed(row, after.tensor))
        else:
            raise CheckError(
                f"the delegate runs {named[1]!r} where the file has {after.kind if after else 'no more operators'}: "
                f"this version names its ops in another way; {_REMEDY}"
            )
    if at < len(rest):
        raise CheckError(f"the delegate tells no time of {rest[at].kind} {rest[at].tensor}: {_REMEDY}")
    return matched
