"""Layers as they are deployed: sequences dissolved, batch norms folded into the convolutions before them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from mnas.ir import Layer, Shape
from mnas.ir.layers import Conv, Linear, Norm, Seq
from mnas.lower.weights import EPSILON, Array, Weights, read_weights

_NONE = np.zeros(0, np.float32)


class Step(NamedTuple):
    """One word that is not a `Seq`, where it stands, and its numbers.

    `weight` and `bias` are those of a convolution or linear layer (which always has a bias here), or the scale and
    shift per channel of a norm that no convolution precedes; they are empty for the other words.
    """

    layer: Layer
    x: Shape
    path: str
    weight: Array = _NONE
    bias: Array = _NONE

    @property
    def y(self) -> Shape:
        """Shape of the output."""
        return self.layer.out_shape(self.x)


def folded(layer: Layer, x: Shape, path: str, weights: Weights) -> list[Step]:
    """The steps of `layer` for inputs of shape `x`, in order; `path` is the node's index and those of the children.

    Raises:
        ShapeError: an array is missing or of another shape.
    """
    steps: list[Step] = []
    for word, shape, at in _dissolved(layer, x, path):
        arrays = read_weights(weights, word, shape, f"nodes.{at}")
        match word:
            case Norm():
                scale = arrays["weight"] / np.sqrt(arrays["running_var"] + np.float32(EPSILON))
                shift = arrays["bias"] - arrays["running_mean"] * scale
                if steps and isinstance(steps[-1].layer, Conv | Linear):
                    steps[-1] = _scaled(steps[-1], scale, shift)
                else:
                    steps.append(Step(word, shape, at, scale, shift))
            case Conv() | Linear():
                bias = arrays.get("bias", np.zeros(word.out, np.float32))
                steps.append(Step(word, shape, at, arrays["weight"], bias))
            case _:
                steps.append(Step(word, shape, at))
    return steps


def _scaled(step: Step, scale: Array, shift: Array) -> Step:
    per_output = scale.reshape(-1, *[1] * (step.weight.ndim - 1))
    return step._replace(weight=step.weight * per_output, bias=step.bias * scale + shift)


def _dissolved(layer: Layer, x: Shape, path: str) -> Iterator[tuple[Layer, Shape, str]]:
    if not isinstance(layer, Seq):
        yield layer, x, path
        return
    for j, part in enumerate(layer.layers):
        yield from _dissolved(part, x, f"{path}.{j}")
        x = part.out_shape(x)
