"""What a model file holds, whatever its format: values with sizes, and operators over them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

from numpy.typing import NDArray

from mnas.ir import Shape

SMALL = 64
"""Most elements of a constant whose numbers are read; of larger ones only the sizes count."""
_CONVOLUTIONS = {"Conv": 0, "CONV_2D": 0, "DEPTHWISE_CONV_2D": -1, "CONV_3D": -1}
"""Axis of the weights, input 1, that holds the output channels."""
_TRANSPOSED = {"ConvTranspose": (0, 1, 0), "TRANSPOSE_CONV": (2, 1, -1), "CONV_3D_TRANSPOSE": (2, 1, -1)}
"""Input that is the map, input that is the weights, axis of the weights that holds the map's channels."""
_PRODUCTS = ("MatMul", "Gemm", "BATCH_MATMUL", "FULLY_CONNECTED")


class Tensor(NamedTuple):
    """What a file says of a value.

    Attributes:
        sizes: its axes, the batch included; nothing where they are not fixed.
        shape: channels, height and width where it is a map or a vector of one sample.
        constant: whether it is the same in every run.
        array: the numbers of a small constant.
    """

    sizes: tuple[int, ...] | None
    shape: Shape | None = None
    constant: bool = False
    array: NDArray[Any] | None = None

    @property
    def elements(self) -> int:
        """How many numbers it holds; 0 where that is not known."""
        return prod(self.sizes) if self.sizes is not None else 0

    @property
    def number(self) -> float | None:
        """The number of a constant of one element."""
        return float(self.array.item()) if self.array is not None and self.array.size == 1 else None


@dataclass(frozen=True)
class FileNode:
    """One operator as the file has it; `inputs` are all it names, in order, with "" for absent ones."""

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


def macs_of(node: FileNode, tensors: Mapping[str, Tensor]) -> int:
    """Multiply-accumulates of an operator from its sizes; 0 where its name does not tell them."""
    known = [tensors.get(name, Tensor(None)) for name in node.inputs]
    if not node.outputs or any(tensor.sizes is None or 0 in tensor.sizes for tensor in known[:3]):
        return 0
    y = tensors.get(node.outputs[0], Tensor(None)).elements
    sizes = [tensor.sizes or () for tensor in known]
    if len(known) < 2 or not all(sizes[:2]):
        return 0
    if node.operator in _CONVOLUTIONS:
        return y // sizes[1][_CONVOLUTIONS[node.operator]] * known[1].elements
    if node.operator in _TRANSPOSED:
        x, weights, axis = _TRANSPOSED[node.operator]
        return known[x].elements // sizes[weights][axis] * known[weights].elements if x < len(known) else 0
    return y * sizes[0][-1] if node.operator in _PRODUCTS else 0
