"""The numbers of a network: named arrays, the same names in every language.

A name is the path of a layer: `nodes.` and the index of the node (from 0), then the index of every child of a `Seq` or
`Join` on the way, then `weight`, `bias`, `running_mean` or `running_var`. These are the names that
`mnas.lower.torch.build` gives its state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod, sqrt

import numpy as np
from numpy.typing import NDArray

from mnas.errors import ShapeError
from mnas.ir import Layer, Network, Shape
from mnas.ir.layers import Conv, Join, Linear, Norm, Seq

Array = NDArray[np.float32]
Weights = Mapping[str, Array]
EPSILON = 1e-5
"""Added to the variance by every `Norm`, in every language."""


def parameters(layer: Layer, x: Shape) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the arrays of one word (not of its children) that reads `x`."""
    match layer:
        case Conv():
            arrays: dict[str, tuple[int, ...]] = {"weight": (layer.out, x.c // layer.groups, *layer.kernel)}
            return arrays | {"bias": (layer.out,)} if layer.bias else arrays
        case Norm():
            return dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (x.c,))
        case Linear(out):
            return {"weight": (out, x.c), "bias": (out,)}
        case _:
            return {}


def he_std(layer: Conv | Linear, x: Shape) -> float:
    """Standard deviation of initial weights (He et al., arXiv:1502.01852): fan-out for Conv, fan-in for Linear."""
    fan = prod(layer.kernel) * layer.out / layer.groups if isinstance(layer, Conv) else x.c
    return sqrt(2 / fan)


def initial_weights(network: Network, seed: int = 0) -> dict[str, Array]:
    """Draw He-normal kernels; biases are 0 and norms are the identity. The same seed gives the same weights."""
    rng = np.random.default_rng(seed)
    weights: dict[str, Array] = {}
    for i, placement in enumerate(network.placements):
        for layer, x, path in _leaves(placement.op.layers(placement.x), placement.x, f"nodes.{i}"):
            for name, shape in parameters(layer, x).items():
                weights[f"{path}.{name}"] = _initial(layer, x, name, shape, rng)
    return weights


def _initial(layer: Layer, x: Shape, name: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    if isinstance(layer, Conv | Linear) and name == "weight":
        return rng.standard_normal(shape, np.float32) * np.float32(he_std(layer, x))
    return np.full(shape, 1 if name in ("weight", "running_var") else 0, np.float32)


def _leaves(layer: Layer, x: Shape, path: str) -> Iterator[tuple[Layer, Shape, str]]:
    match layer:
        case Seq(parts):
            for j, part in enumerate(parts):
                yield from _leaves(part, x, f"{path}.{j}")
                x = part.out_shape(x)
        case Join(_, branches):
            for j, branch in enumerate(branches):
                yield from _leaves(branch, x, f"{path}.{j}")
        case _:
            yield layer, x, path


def read_weights(weights: Weights, layer: Layer, x: Shape, path: str) -> dict[str, Array]:
    """The arrays of one word at `path`, by name.

    Raises:
        ShapeError: one is missing or of another shape.
    """
    out = {}
    for name, shape in parameters(layer, x).items():
        key = f"{path}.{name}"
        if key not in weights:
            raise ShapeError(f"the weights lack {key!r} of shape {shape}: they belong to another network")
        if weights[key].shape != shape:
            raise ShapeError(f"weight {key!r} must have shape {shape}, got {weights[key].shape}")
        out[name] = np.asarray(weights[key], np.float32)
    return out
