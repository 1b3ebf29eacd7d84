"""A model file that was read: primitive ops at their places, and what no op says."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from mnas.errors import FormatError, ShapeError
from mnas.ir import Architecture, Node, Op, Placement, Shape
from mnas.lower import Format, read_metadata
from mnas.reading.fusing import fuse
from mnas.reading.parts import Draft, Part

_SUFFIXES = (".onnx", ".tflite")


class Unknown(NamedTuple):
    """An operator that no op says.

    Attributes:
        node: its name in the file.
        operator: what the file calls it.
        reason: why no op says it.
        macs: its multiply-accumulates, 0 where they are not known.
    """

    node: str
    operator: str
    reason: str
    macs: int


class Coverage(NamedTuple):
    """How much of a model is understood and priced, as shares 0..1 of its operators and of its MACs."""

    nodes: float
    macs: float


@dataclass(frozen=True)
class ForeignModel:
    """What a model file is made of. It is a `Network` whose inputs are those of the file and what unknown nodes give.

    Attributes:
        name: the stem of its file.
        dtype: type of the values between its operators.
        said: text of the architecture that mnas wrote into the file; empty for a file that did not come from mnas.
        inputs: shapes of the values that no node gives.
        nodes: primitive ops in order of execution.
        names: of the file's operators that each node stands for.
        free: names of operators that cost nothing.
        unknown: operators that no op says.
    """

    name: str
    dtype: str
    said: str
    inputs: tuple[Shape, ...]
    nodes: tuple[Node, ...]
    names: tuple[tuple[str, ...], ...]
    free: tuple[str, ...]
    unknown: tuple[Unknown, ...]
    placements: tuple[Placement, ...]

    @property
    def outputs(self) -> tuple[int, ...]:
        """The values that no node reads (see `Network`)."""
        read = {source for node in self.nodes for source in node.sources}
        first = len(self.inputs)
        return tuple(i for i in range(first, first + len(self.nodes)) if i not in read)

    @cached_property
    def architecture(self) -> Architecture:
        """The model as one architecture of primitive ops.

        Raises:
            FormatError: an operator is unknown, or the model has several inputs.
        """
        if self.unknown:
            raise FormatError(self.refusal)
        if len(self.inputs) != 1:
            raise FormatError(f"{self.name} has {len(self.inputs)} inputs: an architecture has one")
        return Architecture(self.inputs[0], self.nodes)

    @property
    def refusal(self) -> str:
        """What is unknown, in words."""
        shown = "\n  ".join(f"{each.node} ({each.operator}): {each.reason}" for each in self.unknown[:5])
        more = f"\n  ... and {len(self.unknown) - 5} more" if len(self.unknown) > 5 else ""
        return f"{self.name} holds {len(self.unknown)} operator(s) that cannot be priced:\n  {shown}{more}"

    def coverage(self, priced: Container[Placement] | None = None) -> Coverage:
        """How much of the model is understood, and has a price.

        Args:
            priced: the placements that have one; all if not given.
        """
        known = [priced is None or placement in priced for placement in self.placements]
        names = [len(each) for each in self.names]
        nodes = sum(names) + len(self.free) + len(self.unknown)
        macs = [placement.cost.macs for placement in self.placements]
        whole = sum(macs) + sum(each.macs for each in self.unknown)
        reached = sum(n for n, has in zip(names, known, strict=True) if has) + len(self.free)
        share = sum(m for m, has in zip(macs, known, strict=True) if has) / whole if whole else 1.0
        return Coverage(reached / nodes, share)


def is_model(path: Path | str) -> bool:
    """Whether a path is a file whose name ends as those that `read_model` reads."""
    return Path(path).suffix in _SUFFIXES and Path(path).is_file()


def read_model(path: Path | str) -> ForeignModel:
    """Read an ONNX or TFLite file into primitive ops.

    What costs the same is taken for the same: padding that gives as many outputs as SAME, clips to any limits. Weights
    are not read.

    Raises:
        FormatError: the file is missing or damaged, of another format, has weights in other files, a batch above 1 or
            sizes other than the batch left open, or nothing in it is understood.
    """
    path = Path(path)
    try:
        return _read(path, path.read_bytes())
    except OSError as error:
        raise FormatError(f"cannot read {path}: {error.strerror}") from error
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from error


def _read(path: Path, data: bytes) -> ForeignModel:
    kind: Format
    match path.suffix:
        case ".onnx":
            from mnas.reading.onnx import draft_onnx

            kind, draft = "onnx", draft_onnx(data)
        case ".tflite":
            from mnas.reading.tflite import draft_tflite

            kind, draft = "tflite", draft_tflite(data)
        case other:
            raise FormatError(f"a model file ends in {' or '.join(_SUFFIXES)}, not in {other or 'nothing'}")
    parts, free = fuse(draft)
    return _Assembly(draft).model(path.stem, read_metadata(data, kind).get("architecture", ""), parts, free)


class _Assembly:
    """Nodes that read each other by number, as in a `Network`: inputs first."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._inputs: dict[str, Shape] = {}
        self._nodes: dict[str, tuple[Part, Op, Placement]] = {}
        self._unknown: list[Unknown] = []
        for name in draft.inputs:
            self._enter(name)

    def model(self, name: str, said: str, parts: Iterable[Part], free: list[str]) -> ForeignModel:
        for part in parts:
            self._add(part)
        if not self._nodes:
            raise FormatError("none of its operators is understood")
        read = {source for part, _, _ in self._nodes.values() for source in part.sources} | set(self._draft.inputs)
        inputs = {name: shape for name, shape in self._inputs.items() if name in read}
        number = {name: i for i, name in enumerate((*inputs, *self._nodes))}
        nodes = tuple(
            Node(op, tuple(number[source] for source in part.sources), placement.join)
            for part, op, placement in self._nodes.values()
        )
        return ForeignModel(
            name=name,
            dtype=self._draft.dtype,
            said=said,
            inputs=tuple(inputs.values()),
            nodes=nodes,
            names=tuple(part.nodes for part, _, _ in self._nodes.values()),
            free=tuple(free),
            unknown=tuple(self._unknown),
            placements=tuple(placement for _, _, placement in self._nodes.values()),
        )

    def _enter(self, name: str) -> None:
        """A value that no node gives."""
        tensor = self._draft.tensors.get(name)
        if tensor is not None and tensor.shape is not None:
            self._inputs[name] = tensor.shape

    def _add(self, part: Part) -> None:
        if isinstance(part.op, Op):
            try:
                self._nodes[part.values[0]] = part, part.op, self._placed(part, part.op)
                return
            except ShapeError as error:
                reason = str(error)
        else:
            reason = part.reason
        first, *others = part.nodes or (part.values[0],)
        self._unknown += [Unknown(first, part.operator, reason, part.macs)]
        self._unknown += [Unknown(name, part.operator, f"see {first}", 0) for name in others]
        for value in part.values:
            self._enter(value)

    def _placed(self, part: Part, op: Op) -> Placement:
        """The op at its place.

        Raises:
            ShapeError: a source that is no map or vector, or an output of another size than the file says.
        """
        inputs = []
        for name in part.sources:
            if name in self._nodes:
                inputs.append(self._nodes[name][2].y)
            elif name in self._inputs:
                inputs.append(self._inputs[name])
            else:
                raise ShapeError(f"it reads {name!r}, which is no map or vector of fixed size")
        placement = Placement(op, tuple(inputs), part.join if len(inputs) > 1 else "add")
        said = self._draft.tensors.get(part.values[0])
        if said is not None and said.shape is not None and said.shape.size != placement.y.size:
            raise ShapeError(f"the file says that it gives {said.shape}, {op} gives {placement.y}")
        return placement
