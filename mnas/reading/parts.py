"""What both formats are read into first: every operator of a file as one primitive op, or the reason why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mnas.errors import ParseError
from mnas.ir import Op, Shape
from mnas.ir.layers import JoinKind
from mnas.ops.cell import Identity
from mnas.ops.primitive import Activate, Fused
from mnas.reading.file import FileNode, Tensor, macs_of

Pads = tuple[int, int, int, int]
"""Pixels around a map: top, left, bottom, right."""


@dataclass(frozen=True)
class Affine:
    """Multiplication (`scale`) or addition of a constant; `number` is known where it has one element."""

    kind: Literal["scale", "shift"]
    number: float | None = None


@dataclass(frozen=True)
class Part:
    """One operator of a file, or several that a runtime executes as one.

    Attributes:
        nodes: names of the file's operators.
        operator: what the file calls them.
        sources: values it reads that differ from run to run.
        values: values it gives; one if there is an op.
        op: what it is; nothing if no op says it. An `identity` of one source costs nothing.
        join: how several sources become one.
        pads: explicit padding of a convolution or pool; nothing means SAME.
        reason: why there is no op.
        macs: multiply-accumulates as the file's sizes tell, 0 where they do not.
    """

    nodes: tuple[str, ...]
    operator: str
    sources: tuple[str, ...]
    values: tuple[str, ...]
    op: Op | Affine | None = None
    join: JoinKind = "add"
    pads: Pads | None = None
    reason: str = ""
    macs: int = 0


@dataclass(frozen=True)
class Draft:
    """A file before anything is fused.

    Attributes:
        inputs: names of the inputs.
        outputs: names of the outputs.
        tensors: what is said of each value, by name.
        parts: its operators in order of execution.
        idle: names of operators that cost nothing, since they work on constants or on sizes.
        dtype: type of the values between the operators.
        folds: whether runtimes of this format fold constants into the convolution before them when they load a file.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    tensors: Mapping[str, Tensor]
    parts: Sequence[Part]
    idle: tuple[str, ...]
    dtype: str
    folds: bool


Arithmetic = Literal["add", "sub", "mul", "div"]
_APPLIED: dict[Arithmetic, Callable[[float], float]] = {
    "add": lambda number: number, "sub": lambda number: -number,
    "mul": lambda number: number, "div": lambda number: 1 / number,
}  # fmt: skip
"""The number that is added, or multiplied by."""


class Refusal(Exception):  # noqa: N818 (caught here, never seen by a caller)
    """An operator that no op says; the message is the reason."""


Reader = Callable[[FileNode], "Part"]


@dataclass
class Drafting:
    """The common part of reading a file: values by name, and the parts that operators become."""

    tensors: dict[str, Tensor] = field(default_factory=dict)

    def varying(self, node: FileNode) -> tuple[str, ...]:
        """The inputs of an operator that differ from run to run."""
        return tuple(name for name in node.inputs if name and not self.tensors[name].constant)

    def read(self, node: FileNode, readers: Mapping[str, Reader]) -> Part:
        """Find the part of an operator; one without op where no reader knows it."""
        try:
            if node.operator not in readers:
                raise Refusal(f"no op does what {node.operator} does")
            return readers[node.operator](node)
        except (Refusal, ParseError) as error:  # ParseError: a number out of the range of a field
            reason = str(error)
        except (LookupError, ValueError, TypeError):
            reason = "it lacks inputs or attributes"
        macs = macs_of(node, self.tensors)
        return Part((node.name,), node.operator, self.varying(node), node.outputs, reason=reason, macs=macs)

    def part(self, node: FileNode, op: Op | Affine, *, join: JoinKind = "add", pads: Pads | None = None) -> Part:
        """The part of an operator that `op` says."""
        macs = macs_of(node, self.tensors)
        return Part((node.name,), node.operator, self.varying(node), node.outputs[:1], op, join, pads, macs=macs)

    def shape(self, name: str) -> Shape:
        """The shape of a value.

        Raises:
            Refusal: it is no map or vector of one sample.
        """
        tensor = self.tensors.get(name, Tensor(None))
        if tensor.sizes is None:
            raise Refusal(f"the shape of {name!r} is not fixed")
        if tensor.shape is None:
            raise Refusal(f"{name!r} of shape {list(tensor.sizes)} is no map or vector of one image")
        return tensor.shape

    def numbers(self, node: FileNode, index: int, what: str) -> list[int]:
        """The integers of a small constant input.

        Raises:
            Refusal: it is absent, large or not constant.
        """
        name = node.inputs[index] if index < len(node.inputs) else ""
        array = self.tensors[name].array if name else None
        if array is None:
            raise Refusal(f"its {what} are not constant")
        return [int(number) for number in array.ravel()]

    def activation(self, kind: Fused) -> Reader:
        """A reader of one non-linearity."""

        def read(node: FileNode) -> Part:
            self.shape(node.outputs[0])
            return self.part(node, Activate(kind))  # type: ignore[arg-type]  # "none" is never asked for

        return read

    def elementwise(self, kind: Arithmetic) -> Reader:
        """A reader of one kind of arithmetic: a join of values, or an affine map where all but one are constant."""

        def read(node: FileNode) -> Part:
            y, varying = self.shape(node.outputs[0]), self.varying(node)
            if len(varying) > 1:
                if kind in ("sub", "div") or len(varying) < len(node.inputs):
                    raise Refusal(f"no op does what {node.operator} of these values does")
                return self.part(node, Identity(), join="add" if kind == "add" else "mul")
            if self.shape(varying[0]) != y:
                raise Refusal(f"it broadcasts {self.shape(varying[0])} to {y}")
            if kind == "div" and node.inputs[0] != varying[0]:
                raise Refusal("no op divides a constant by a value")
            numbers = [self.tensors[name].number for name in node.inputs if name != varying[0]]
            number = _APPLIED[kind](numbers[0]) if len(numbers) == 1 and numbers[0] else None
            return self.part(node, Affine("shift" if kind in ("add", "sub") else "scale", number))

        return read

    def reshaped(self, node: FileNode) -> Part:
        """An operator that only says the shape anew.

        Raises:
            Refusal: channels, height or width change, and not all of them become channels.
        """
        x, y = self.shape(self.varying(node)[0]), self.shape(node.outputs[0])
        if y not in (x, Shape(x.size, 1, 1)):
            raise Refusal(f"it reshapes {x} to {y}")
        return self.part(node, Identity())
