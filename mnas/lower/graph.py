"""What ONNX and TFLite have in common: named values, operators over them, and the walk over a network."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnas.ir import Layer, Network, Shape
from mnas.ir.layers import Join, JoinKind, Seq, joined
from mnas.lower.fold import Step, folded
from mnas.lower.weights import Weights

_NODE = re.compile(r"n(\d+)(?:\.|$)")
_QUANTIZED = "_quantized"
"""Ends the names of inputs that are written in another scale first, since a concatenation needs all in one."""


class Value(NamedTuple):
    """A tensor by name; `flat` means that it is stored as (N, C), else as a map."""

    name: str
    shape: Shape
    flat: bool = False


class Operator(NamedTuple):
    """One operator of the target language; it gives one value."""

    kind: str
    inputs: list[str]
    output: Value
    attributes: dict[str, Any]


@dataclass
class Graph(ABC):
    """A network being written in one language.

    A subclass says how a word becomes operators. Values are named after their node and layer: `n3.0.1` is the child 1
    of child 0 of node 3 (from 0), so that a profile of the file can be read by node.
    """

    joins: ClassVar[dict[JoinKind, str]]
    channel_axis: ClassVar[int]
    network: Network
    weights: Weights
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)
    operators: dict[str, Operator] = field(default_factory=dict)

    @abstractmethod
    def step(self, step: Step, value: Value) -> Value:
        """Write one word that is neither `Seq` nor `Join`."""

    @abstractmethod
    def as_map(self, value: Value) -> Value:
        """Write what gives a flat value its map of 1x1 back."""

    @abstractmethod
    def finish(self, value: Value, name: str) -> Value:
        """Write what makes `value` an output of the network, called `name`: (N, C) if its map is 1x1."""

    @property
    def inputs(self) -> tuple[Value, ...]:
        """The network's inputs: `image`, or `image0`, `image1`, ..."""
        shapes = self.network.inputs
        return tuple(map(Value, _numbered("image", len(shapes)), shapes))

    def write(self) -> tuple[Value, ...]:
        """Write the whole network and drop what its outputs do not need; give back the outputs."""
        values, outputs, names = list(self.inputs), [], output_names(self.network)
        for i, (node, placement) in enumerate(zip(self.network.nodes, self.network.placements, strict=True)):
            value = self._joined(node.join, [values[s] for s in node.sources], f"n{i}.join")
            values.append(self._layer(placement.op.layers(placement.x), placement.x, str(i), value))
            if name := names.get(len(values) - 1):
                outputs.append(self.finish(values[-1], name))
        needed = {output.name for output in outputs}
        for name, operator in reversed(self.operators.items()):
            if name in needed:
                needed.update(operator.inputs)
        self.operators = {name: operator for name, operator in self.operators.items() if name in needed}
        self.constants = {name: array for name, array in self.constants.items() if name in needed}
        return tuple(outputs)

    def _layer(self, layer: Layer, x: Shape, path: str, value: Value) -> Value:
        for step in folded(layer, x, path, self.weights):
            match step.layer:
                case Join(kind, branches):
                    ends = [self._layer(b, step.x, f"{step.path}.{j}", value) for j, b in enumerate(branches)]
                    value = self._joined(kind, ends, f"n{step.path}")
                case _:
                    value = self.step(step, value)
        return value

    def _joined(self, kind: JoinKind, values: Sequence[Value], name: str) -> Value:
        flat = all(value.flat for value in values)
        total, *others = values if flat else [self.as_map(value) for value in values]
        if kind == "cat" and others:
            y = Value(name, joined(kind, tuple(value.shape for value in values)), flat)
            axis = {"axis": 1 if flat else self.channel_axis}
            return self.emit(self.joins[kind], [total.name, *(value.name for value in others)], y, axis)
        for i, value in enumerate(others, start=1):
            y = Value(name if i == len(others) else f"{name}.{kind}{i}", joined(kind, (total.shape, value.shape)), flat)
            total = self.emit(self.joins[kind], [total.name, value.name], y)
        return total

    def emit(self, kind: str, inputs: Sequence[str], output: Value, attributes: dict[str, Any] | None = None) -> Value:
        """Append an operator; one whose output is known stands for the same."""
        self.operators.setdefault(output.name, Operator(kind, list(inputs), output, attributes or {}))
        return output

    def constant(self, name: str, array: NDArray[Any]) -> str:
        """Enter a constant; a name that is known stands for the same numbers."""
        self.constants.setdefault(name, array)
        return name

    def numbers(self, name: str, weight: NDArray[Any], bias: NDArray[Any]) -> list[str]:
        """Enter the two constants of a convolution or linear layer."""
        return [self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)]

    def rename_output(self, value: Value, name: str) -> Value:
        """Call the value of an operator `name`; operators that read it are no longer needed."""
        operator = self.operators.pop(value.name)
        return self.emit(operator.kind, operator.inputs, value._replace(name=name), operator.attributes)


def output_names(network: Network) -> dict[int, str]:
    """What the values that a network gives are called in its file: `logits`, or `logits0`, `logits1`, ..."""
    return dict(zip(network.outputs, _numbered("logits", len(network.outputs)), strict=True))


def _numbered(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name}{i}" for i in range(count)]


def node_of(value: str, network: Network) -> int | None:
    """Which node of a network (from 0) a value of its file stems from; nothing for a name that is not ours."""
    given = next((number for number, name in output_names(network).items() if name == value), None)
    if given is not None:
        first = len(network.inputs)
        node = given - first
        while _passes(network, node) and network.nodes[node].sources[0] >= first:
            node = network.nodes[node].sources[0] - first
        return node
    images = _numbered("image", len(network.inputs))
    if (image := value.removesuffix(_QUANTIZED)) != value and image in images:
        source = images.index(image)
        return next((i for i, node in enumerate(network.nodes) if source in node.sources), None)
    found = _NODE.match(value)
    return int(found[1]) if found and int(found[1]) < len(network.nodes) else None


def _passes(network: Network, node: int) -> bool:
    """Whether a node gives what it reads, so that no operator is written for it."""
    placement = network.placements[node]
    return len(placement.inputs) == 1 and placement.op.layers(placement.x) == Seq()


def scalar(number: float) -> NDArray[np.float32]:
    """A constant without axes."""
    return np.array(number, np.float32)
