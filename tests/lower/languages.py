"""One network run in all three languages, on the same random weights, norms and inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

import mnas.ops
from mnas.ir import Architecture, Layer, Network, Node, Op, Shape
from mnas.ir.layers import Join, Seq, Window
from mnas.lower import initial_weights, operators
from mnas.lower.onnx import to_onnx
from mnas.lower.tflite import to_tflite
from mnas.lower.torch import build, load_weights, weights_of

Array = NDArray[np.float32]
assert mnas.ops  # its import makes the ops known
TOLERANCE = 1e-4
"""Largest difference allowed, relative to the largest output."""


@dataclass(frozen=True)
class Tree(Op):
    """Any tree of layers as an op of its own."""

    name = "tree"
    tags = ()
    tree: Layer

    def layers(self, x: Shape) -> Layer:
        return self.tree


def network_of(tree: Layer, x: Shape) -> Architecture:
    return Architecture(x, (Node(Tree(tree), (0,)),))


def random_weights(network: Network, seed: int = 0) -> dict[str, Array]:
    """Initial weights with random biases and random statistics in the norms."""
    rng = np.random.default_rng(seed + 1)
    weights = initial_weights(network, seed)
    for key, value in weights.items():
        if value.ndim == 1:
            positive = key.endswith("running_var") or f"{key.removesuffix('.weight')}.running_var" in weights
            draw = rng.uniform(0.5, 2, value.shape) if positive else rng.normal(0, 0.5, value.shape)
            weights[key] = draw.astype(np.float32)
    return weights


def calibrated(network: Network, weights: dict[str, Array], seed: int) -> dict[str, Array]:
    """Replace the statistics by those of eight random inputs, as training would, but for variances below 0.1.

    A deep network whose norms do not fit its data, or that divides by the deviation of dead channels, magnifies the
    rounding errors of float32 without bound: torch itself is then off by more than the tolerance.
    """
    module = build(network).train()
    load_weights(module, weights)
    rng = np.random.default_rng(seed)
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = 1.0
    with torch.no_grad():
        module(*(torch.from_numpy(rng.normal(-0.3, 1, (8, *x)).astype(np.float32)) for x in network.inputs))
    weights = weights_of(module)
    return {key: np.maximum(w, 0.1) if key.endswith("running_var") else w for key, w in weights.items()}


def images(network: Network, seed: int = 0) -> list[Array]:
    rng = np.random.default_rng(seed + 2)
    return [rng.normal(-0.3, 1, (1, *shape)).astype(np.float32) for shape in network.inputs]


def run_torch(
    network: Network, weights: dict[str, Array], inputs: list[Array], dtype: torch.dtype = torch.float32
) -> NDArray[Any]:
    module = build(network, seed=0).eval()
    load_weights(module, weights)
    with torch.no_grad():
        return np.asarray(module.to(dtype)(*(torch.from_numpy(x).to(dtype) for x in inputs)).numpy())


def run_onnx(model: bytes, inputs: list[Array]) -> Array:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    return np.asarray(session.run(["logits"], dict(zip(names, inputs, strict=True)))[0])


def run_tflite(model: bytes, inputs: list[Array]) -> Array:
    """Inputs and output are (N, C, H, W) here, (1, H, W, C) in the file."""
    runner = Interpreter(model_content=model, num_threads=1).get_signature_runner("serving_default")
    names = sorted(runner.get_input_details())
    maps = [np.ascontiguousarray(x.transpose(0, 2, 3, 1)) for x in inputs]
    output = np.array(runner(**dict(zip(names, maps, strict=True)))["logits"])
    return output if output.ndim == 2 else output.transpose(0, 3, 1, 2)


def reaches_outside(layer: Layer, x: Shape) -> bool:
    match layer:
        case Window(top, left, h, w):
            return min(top, left) < 0 or top + h > x.h or left + w > x.w
        case Join(_, branches):
            return any(reaches_outside(branch, x) for branch in branches)
        case Seq(parts):
            for part in parts:
                if reaches_outside(part, x):
                    return True
                x = part.out_shape(x)
    return False


def agree(network: Network, seed: int = 0, *, calibrate: bool = False) -> dict[str, Any]:
    """Check that the languages agree and that the files are as promised; give back the operators of both files.

    The exact answer is torch's in float64. A deep network may be off by more than the tolerance in any language, so
    that ten times the error of torch in float32 is granted on top.
    """
    weights, inputs = random_weights(network, seed), images(network, seed)
    weights = calibrated(network, weights, seed) if calibrate else weights
    model, lite = to_onnx(network, weights), to_tflite(network, weights)
    onnx.checker.check_model(model, full_check=True)
    expected = run_torch(network, weights, inputs, torch.float64)
    rounding = np.abs(run_torch(network, weights, inputs) - expected).max()
    y = network.placements[-1].y
    assert expected.shape == ((1, y.c) if y[1:] == (1, 1) else (1, *y))
    limit = TOLERANCE * max(float(np.abs(expected).max()), 1e-3) + 10 * rounding
    for got in (run_onnx(model, inputs), run_tflite(lite, inputs)):
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=0, atol=limit)
    histograms: dict[str, Any] = {"onnx": operators(model, "onnx"), "tflite": operators(lite, "tflite")}
    pads = any(reaches_outside(p.op.layers(p.x), p.x) for p in network.placements)
    assert not {"TRANSPOSE", "Transpose"} & (histograms["tflite"].keys() | histograms["onnx"].keys())
    assert pads or not {"PAD", "Pad"} & (histograms["tflite"].keys() | histograms["onnx"].keys())
    return histograms
