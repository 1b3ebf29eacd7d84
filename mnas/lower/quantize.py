"""Model files in int8: a float32 file is written first, run on samples to see its ranges, and quantised.

Weights become int8 with a scale per output channel, biases int32, and every other tensor 8 bits with one scale and
zero point: int8 in TFLite, uint8 in ONNX. ONNX Runtime turns int8 tensors into uint8 ones on x86 (unless a session
option says otherwise), and what is left between the two stays in float32: a MobileNet block took four times as long.
On x86 processors without VNNI its sums of uint8 times int8 may saturate, so that accuracy is to be measured there.

Inputs and outputs are 8 bits too, so that blocks can be measured as they stand inside a network, and so that a device
without float units can run the whole. In ONNX their scales travel as metadata: `image.scale`, `image.zero_point`,
`logits.scale`, `logits.zero_point`; in TFLite they are part of the tensors.

Some operators have no 8-bit kernel and stay in float32 between a conversion and its reverse (see `float_operators`).
Of the ops of mnas these are, in ONNX: hswish, hsigmoid, global max pools, lone zeros, zeros padded to a cropped map,
and a ReLU whose input others read too, such as the first of a cell's edge; in TFLite: global max pools, and a ReLU6
that nothing before it can take over. LiteRT's hswish is int8, but XNNPACK does not take it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from mnas.errors import ConfigError, FormatError, ShapeError
from mnas.ir import Network
from mnas.lower.weights import Array

Dtype = Literal["float32", "int8"]
"""Numbers inside a model file."""
Samples = Sequence[Array]
"""Inputs to learn the ranges from: for every input of the network (n, C, H, W), the same n."""
_NARROWEST = 1e-6
_LARGEST_BIAS = 2**30
_LEAST_SCALE = 1e-9


class Range(NamedTuple):
    """Smallest and largest number seen in a tensor."""

    low: float
    high: float


def parse_dtype(text: str) -> Dtype:
    """Find the dtype of a name.

    Raises:
        ConfigError: models cannot be written in it.
    """
    for known in get_args(Dtype):
        if text == known:
            return known  # type: ignore[no-any-return]
    raise ConfigError(f"models are written in {' or '.join(get_args(Dtype))}, not in {text!r}")


def noise(network: Network, seed: int = 0) -> list[Array]:
    """Standard normal samples, one for every input: good enough to measure time, never accuracy."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((1, *x), np.float32) for x in network.inputs]


def check_samples(network: Network, samples: Samples) -> None:
    """Refuse samples that the network cannot read.

    Raises:
        ShapeError: not one array for every input, of its shape, with as many samples as the others and at least one.
    """
    expected = ", ".join(f"(n, {x.c}, {x.h}, {x.w})" for x in network.inputs)
    got = ", ".join(str(array.shape) for array in samples)
    same = {len(array) for array in samples} if all(array.ndim == 4 for array in samples) else set()
    if len(same) != 1 or same == {0} or [array.shape[1:] for array in samples] != list(network.inputs):
        raise ShapeError(f"samples must be {expected} with n of at least 1, got {got or 'none'}")


def ranges(runs: Iterable[Mapping[str, NDArray[np.float32]]]) -> dict[str, Range]:
    """The range of every tensor over runs of a model, each given as its tensors by name.

    A tensor that is zero throughout, such as what a dead ReLU gives, gets the range 0..1: the runtimes refuse the
    scales of narrower ones.

    Raises:
        FormatError: a tensor with numbers that are not finite.
    """
    found: dict[str, Range] = {}
    for tensors in runs:
        for name, values in tensors.items():
            low, high = found.get(name, (np.inf, -np.inf))
            seen = Range(float(values.min()), float(values.max()))
            if not np.isfinite(seen).all():
                raise FormatError(f"this network cannot be quantised: its tensor {name!r} is not finite")
            found[name] = Range(min(low, seen.low), max(high, seen.high))
    dead = {name: Range(0, 1) for name, (low, high) in found.items() if max(high, -low) < _NARROWEST}
    return found | dead


def kernel_scales(kernel: Array, bias: Array, x: Range) -> Array:
    """The scale of every output channel of a kernel (channels, ...) that reads tensors of range `x`.

    The kernel fills -127..127. A bias is stored as a multiple of its channel's scale and that of `x`, in int32: where
    the kernel is so small that its bias would overflow, such as in the dead channels of trained networks, the scale
    is larger.
    """
    largest = np.abs(kernel).max(axis=tuple(range(1, kernel.ndim)))
    width = max(x.high, 0) - min(x.low, 0)
    least = np.abs(bias) * 255 / (width * _LARGEST_BIAS)
    return np.asarray(np.maximum(largest / 127, np.maximum(least, _LEAST_SCALE)), np.float32)
