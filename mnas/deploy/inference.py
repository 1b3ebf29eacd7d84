"""Running model files on real images, on this host, to see what they compute."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mnas.evaluate import TrainedNetwork
from mnas.lower import Format

Images = NDArray[np.float32]
"""Normalised images, (n, C, H, W)."""
Logits = NDArray[np.float32]
"""Network outputs, (n, classes)."""


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
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(None, {name: image[None]})[0] for image in images])


def _tflite(model: bytes, images: Images) -> Logits:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    source, sink = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    out = []
    for image in np.ascontiguousarray(images.transpose(0, 2, 3, 1)):
        interpreter.set_tensor(source, image[None])
        interpreter.invoke()
        out.append(interpreter.get_tensor(sink).copy())
    return np.concatenate(out)


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
