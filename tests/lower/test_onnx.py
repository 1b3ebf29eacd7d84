from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from mnas.ir import Architecture, Placement
from mnas.lower import initial_weights, operators, read_metadata
from mnas.lower.onnx import to_onnx
from mnas.lower.torch import build, load_weights
from mnas.spaces import space
from tests.lower.languages import TOLERANCE, images, random_weights, run_onnx, run_torch

A = Architecture.parse("input 3x33x32\nconv_c8_s2_ahswish\nsepconv_c8\nmbconv_c16_k5_s2_se0.25_ghsigmoid\nhead_c32_n5")
CELL = space("nasbench201", image_size=8).decode((0, 3, 0, 1, 4, 0))


def test_second_opinion(tmp_path: Path) -> None:
    """Torch's own exporter, which shares no line with ours, gives the same function."""
    weights, inputs = random_weights(A), images(A)
    network = build(A).eval()
    load_weights(network, weights)
    file = tmp_path / "torch.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the old exporter announces its successor
        torch.onnx.export(
            network,
            (torch.from_numpy(inputs[0]),),
            str(file),
            dynamo=False,
            input_names=["image"],
            output_names=["logits"],
        )
    ours, theirs = run_onnx(to_onnx(A, weights), inputs), run_onnx(file.read_bytes(), inputs)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE * np.abs(theirs).max())
    assert "Pad" in operators(file.read_bytes(), "onnx"), "theirs pads apart, ours inside the convolution"


@pytest.mark.parametrize("network", [A, CELL], ids=["mobile", "cell with zeros"])
def test_dynamic_batch(network: Architecture) -> None:
    weights = random_weights(network)
    x = np.concatenate([images(network, seed)[0] for seed in range(3)])
    model = to_onnx(network, weights, dynamic_batch=True)
    onnx.checker.check_model(model, full_check=True)
    expected = run_torch(network, weights, [x])
    np.testing.assert_allclose(run_onnx(model, [x]), expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())
    np.testing.assert_allclose(run_onnx(model, [x[:1]]), expected[:1], rtol=0, atol=TOLERANCE * np.abs(expected).max())


def test_dynamic_batch_of_a_lone_zero() -> None:
    network = Placement.parse("zero_s2@4x5x5|4x5x5")
    inputs = [np.ones((2, 4, 5, 5), np.float32)] * 2
    assert run_onnx(to_onnx(network, {}, dynamic_batch=True), inputs).shape == (2, 8, 3, 3)


def test_interface() -> None:
    proto = onnx.load_model_from_string(to_onnx(A, initial_weights(A), metadata={"b": "2", "a": "1 \N{SNOWMAN}"}))
    (x,), (y,) = proto.graph.input, proto.graph.output
    assert (x.name, [d.dim_value for d in x.type.tensor_type.shape.dim]) == ("image", [1, 3, 33, 32])
    assert (y.name, [d.dim_value for d in y.type.tensor_type.shape.dim]) == ("logits", [1, 5])
    assert [p.key for p in proto.metadata_props] == ["a", "b"]
    two = onnx.load_model_from_string(to_onnx(Placement.parse("identity@4x5x5*4x1x1"), {}))
    assert [i.name for i in two.graph.input] == ["image0", "image1"]


def test_tensors_are_named_after_nodes() -> None:
    proto = onnx.load_model_from_string(to_onnx(A, initial_weights(A)))
    names = [node.output[0] for node in proto.graph.node]
    assert [name.split(".")[0] for name in names[:-1]] == sorted(name.split(".")[0] for name in names[:-1])
    assert {name.split(".")[0] for name in names} == {"n0", "n1", "n2", "n3", "logits"}


def test_same_bytes_every_time() -> None:
    weights = initial_weights(A)
    one, two = (to_onnx(A, weights, metadata=m) for m in ({"a": "1", "b": "2"}, {"b": "2", "a": "1"}))
    assert one == two
    assert read_metadata(one, "onnx") == {"a": "1", "b": "2"}
