"""Running model files on real images, on this host, to see what they compute.

Files with integer inputs and outputs are fed quantised images, and their outputs are scaled back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mnas.evaluate import TrainedNetwork
from mnas.lower import Format

Images = NDArray[np.float32]
"""Normalised images, (n, C, H, W)."""
Logits = NDArray[np.float32]
"""Network outputs, (n, classes)."""


class _Quantised(NamedTuple):
    """How an 8-bit tensor stands for real numbers: (integer - zero point) * scale."""

    scale: float
    zero_point: int

    def integers(self, values: Images, dtype: str) -> NDArray[Any]:
        limits = np.iinfo(dtype)
        return np.asarray(np.clip(np.rint(values / self.scale) + self.zero_point, limits.min, limits.max), dtype)

    def values(self, integers: NDArray[Any]) -> Logits:
        return np.multiply(integers.astype(np.float32) - self.zero_point, np.float32(self.scale), dtype=np.float32)


def logits(model: bytes, format: Format, images: Images) -> Logits:  # noqa: A002
    """Run a model of one image input over `images`, one at a time as a device does.

    Args:
        model: the file's content.
        format: what it is.
        images: normalised, (n, C, H, W); a TFLite model is fed NHWC.

    Returns:
        (n, classes).
    """
    run = _onnx if format == "onnx" else _tflite
    return run(model, images)


def _onnx(model: bytes, images: Images) -> Logits:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    x, said = session.get_inputs()[0], session.get_modelmeta().custom_metadata_map
    integer = x.type == "tensor(uint8)"
    fed = _onnx_scale(said, x.name).integers(images, "uint8") if integer else images
    out = np.concatenate([session.run(None, {x.name: image[None]})[0] for image in fed])
    return _onnx_scale(said, session.get_outputs()[0].name).values(out) if integer else out


def _onnx_scale(said: Mapping[str, str], name: str) -> _Quantised:
    return _Quantised(float(said[f"{name}.scale"]), int(said[f"{name}.zero_point"]))


def _tflite(model: bytes, images: Images) -> Logits:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    source, sink = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    fed: NDArray[Any] = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    integer = source["dtype"] is np.int8
    if integer:
        fed = _Quantised(*source["quantization"]).integers(fed, "int8")
    results = []
    for image in fed:
        interpreter.set_tensor(source["index"], image[None])
        interpreter.invoke()
        results.append(interpreter.get_tensor(sink["index"]).copy())
    out = np.concatenate(results)
    return _Quantised(*sink["quantization"]).values(out) if integer else out


def torch_logits(network: TrainedNetwork, images: Images) -> Logits:
    """What the network that was trained says about `images`: the reference every file is held against."""
    import torch

    from mnas.lower.torch import build, load_weights

    module = build(network.architecture).eval()
    load_weights(module, network.weights)
    with torch.no_grad():
        return np.concatenate(
            [module(torch.from_numpy(part)).numpy() for part in np.array_split(images, 1 + len(images) // 64)]
        )
