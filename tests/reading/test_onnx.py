"""ONNX files as torch and others write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from mnas.errors import FormatError
from mnas.reading import ForeignModel, read_model
from tests.reading.foreign import MOBILENET_V2, Mobile, conv, exported, macs_of

X = torch.zeros(1, 3, 64, 64)
Read = Callable[[bytes], ForeignModel]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def of(model: bytes) -> ForeignModel:
        (tmp_path / "net.onnx").write_bytes(model)
        return read_model(tmp_path / "net.onnx")

    return of


def texts(model: ForeignModel) -> list[str]:
    return [str(placement) for placement in model.placements]


def built(nodes: list[onnx.NodeProto], x: list[int | str], y: list[int | str], **constants: object) -> bytes:
    """A model of `nodes` from x to y."""
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    first, last = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes) for name, sizes in (("x", x), ("y", y))
    )
    graph = helper.make_graph(nodes, "g", [first], [last], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    return bytes(model.SerializeToString())


def chained(
    *kinds: tuple[str, list[str]], x: list[int | str] | None = None, y: list[int | str], **constants: object
) -> bytes:
    """A model of operators one after another, each with constants as its other inputs."""
    names = ["x", *(f"v{i}" for i in range(1, len(kinds))), "y"]
    nodes = [
        helper.make_node(kind, [names[i], *others], [names[i + 1]], name=f"{kind}{i}")
        for i, (kind, others) in enumerate(kinds)
    ]
    return built(nodes, x or [1, 4, 6, 6], y, **constants)


@pytest.mark.parametrize("dynamic", [False, True])
def test_mobilenet_v2(read: Read, dynamic: bool) -> None:
    net = Mobile(MOBILENET_V2, 32, 1280, classes=1000)
    model = read(exported(net, X, dynamic=dynamic))
    assert model.architecture.cost.macs == macs_of(net, X)
    assert (len(model.nodes), model.unknown, model.dtype) == (64, (), "float32")
    assert model.coverage() == (1, 1)
    assert texts(model)[:3] == [
        "conv2d_c32_kh3_kw3_sh2_sw2_arelu6@3x64x64", "conv2d_c32_kh3_kw3_g32_arelu6@32x32x32", "conv2d_c16@32x32x32",
    ]  # fmt: skip
    assert texts(model)[-2:] == ["globalpool@1280x2x2", "linear_c1000@1280x1x1"]
    assert sum("identity@" in text for text in texts(model)) == 10


@pytest.mark.parametrize("opset", [11, 13, 17])
@pytest.mark.parametrize(
    ("act", "gate", "acts"),
    [(nn.Hardswish(), nn.Hardsigmoid(), ("hswish", "hsigmoid")), (nn.SiLU(), nn.Sigmoid(), ("swish", "sigmoid"))],
)
def test_squeeze_excite_and_gates(
    read: Read, opset: int, act: nn.Module, gate: nn.Module, acts: tuple[str, str]
) -> None:
    net = Mobile(((1, 16, 1, 1), (4, 24, 2, 2)), 16, 64, act=act, gate=gate, k=5)
    model = read(exported(net, X, opset=opset))
    assert model.architecture.cost.macs == macs_of(net, X)
    found = texts(model)
    assert len(found) == 26
    assert found[1:6] == [
        f"conv2d_c16_kh5_kw5_g16_a{acts[0]}@16x32x32", "globalpool@16x32x32", "conv2d_c4_arelu@16x1x1",
        f"conv2d_c16_a{acts[1]}@4x1x1", "identity@16x32x32*16x1x1",
    ]  # fmt: skip


def test_padding_pools_and_a_flattened_map(read: Read) -> None:
    class Old(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Sequential(
                nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8),
                nn.ReLU(), nn.ZeroPad2d((3, 0, 2, 0)), nn.Conv2d(8, 8, 3, 2), nn.MaxPool2d(3, 2, ceil_mode=True),
                nn.Conv2d(8, 8, 3, padding=2), nn.AvgPool2d(3, 1),
            )  # fmt: skip
            self.head = nn.Sequential(nn.Linear(8 * 7 * 8, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 10))

        def forward(self, x: Tensor) -> Tensor:
            x = self.features(x)
            return self.head(x.view(x.size(0), -1))  # type: ignore[no-any-return]

    net = Old()
    for dynamic in (False, True):
        model = read(exported(net, X, dynamic=dynamic))
        assert texts(model) == [
            "conv2d_c8_kh3_kw3_arelu@3x64x64", "pool2d_sh2_sw2@8x64x64", "conv2d_c8_kh3_kw3_pvalid_arelu@8x32x32",
            "pad_t2_l3@8x30x30", "conv2d_c8_kh3_kw3_sh2_sw2_pvalid@8x32x33", "pad_r1@8x15x16",
            "pool2d_kh3_kw3_sh2_sw2_pvalid@8x15x17", "pad_t2_b2_l2_r2@8x7x8", "conv2d_c8_kh3_kw3_pvalid@8x11x12",
            "pool2d_tavg_kh3_kw3_pvalid@8x9x10", "linear_c32_arelu@8x7x8", "linear_c10@32x1x1",
        ]  # fmt: skip
        assert model.architecture.cost.macs == macs_of(net, X)


def test_norms_that_no_convolution_takes_in(read: Read) -> None:
    class Dense(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = conv(3, 8, 3), nn.Sequential(nn.BatchNorm2d(11), nn.ReLU(), nn.Conv2d(11, 4, 1))

        def forward(self, x: Tensor) -> Tensor:
            y = torch.cat([x, self.first(x)], 1)
            return torch.relu(self.second(y) + 1) * torch.tensor(2.0)

    model = read(exported(Dense(), X))
    assert texts(model) == [
        "conv2d_c8_kh3_kw3@3x64x64", "identity@3x64x64|8x64x64", "norm_arelu@11x64x64", "conv2d_c4_arelu@11x64x64",
        "norm@4x64x64",
    ]  # fmt: skip
    assert [len(names) for names in model.names] == [2, 1, 2, 3, 1]


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([("Clip", ["zero", "six"])], "activation_arelu6@4x6x6"),
        ([("Clip", ["zero"])], "activation@4x6x6"),
        ([("Add", ["three"]), ("Clip", ["zero", "six"]), ("Div", ["six"])], "activation_ahsigmoid@4x6x6"),
        ([("Sub", ["three"]), ("Clip", ["zero", "six"]), ("Div", ["six"])], "norm_arelu6@4x6x6 norm@4x6x6"),
        ([("Mul", ["each"]), ("Add", ["each"]), ("Relu", [])], "norm_arelu@4x6x6"),
        ([("MatMul", ["six"])], ""),
    ],
)
def test_pieces(read: Read, kinds: list[tuple[str, list[str]]], expected: str) -> None:
    numbers: dict[str, Any] = {
        "zero": np.float32(0),
        "three": np.float32(3),
        "six": np.float32(6),
        "each": np.ones((1, 4, 1, 1), "f4"),
    }
    if not expected:
        with pytest.raises(FormatError, match="none of its operators is understood"):
            read(chained(*kinds, y=[1, 4, 6, 6], **numbers))
        return
    model = read(chained(*kinds, ("Identity", []), y=[1, 4, 6, 6], **numbers))
    assert " ".join(texts(model)) == expected
    assert len(model.free) == 1


def test_a_value_with_two_readers_is_not_fused_into_one(read: Read) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], name="conv"), helper.make_node("Relu", ["a"], ["b"], name="relu"),
        helper.make_node("Add", ["a", "b"], ["c"], name="add"), helper.make_node("Relu", ["c"], ["y"], name="last"),
    ]  # fmt: skip
    model = read(built(nodes, [1, 4, 6, 6], [1, 4, 6, 6], w=np.zeros((4, 4, 1, 1), "f4")))
    assert texts(model) == ["conv2d_c4@4x6x6", "activation@4x6x6", "activation@4x6x6+4x6x6"]
    assert model.names == (("conv",), ("relu",), ("add", "last"))


def test_quantised_files_are_int8(read: Read) -> None:
    nodes = []
    for name, after in (("x", "conv"), ("v", "y")):
        nodes.append(helper.make_node("QuantizeLinear", [name, "scale", "zero"], [f"{name}.q"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"{name}.q", "scale", "zero"], [after]))
    nodes.insert(2, helper.make_node("DequantizeLinear", ["w", "scale", "zero"], ["w.f"]))
    nodes.insert(3, helper.make_node("Conv", ["conv", "w.f"], ["v"]))
    constants = {"w": np.zeros((8, 4, 3, 3), "i1"), "scale": np.float32(0.1), "zero": np.int8(0)}
    model = read(built(nodes, [1, 4, 6, 6], [1, 8, 4, 4], **constants))
    assert texts(model) == ["conv2d_c8_kh3_kw3_pvalid@4x6x6"]
    assert model.dtype == "int8"


def test_what_is_unknown_is_named_and_the_rest_is_read(read: Read) -> None:
    net = nn.Sequential(
        conv(3, 8, 3, 2, act=nn.PReLU()), nn.ConvTranspose2d(8, 4, 2, 2), nn.Conv2d(4, 6, 3), nn.Softmax(1)
    )
    model = read(exported(net, X))
    assert [(each.operator, each.macs) for each in model.unknown] == [
        ("PRelu", 0), ("ConvTranspose", 8 * 4 * 4 * 32 * 32), ("Softmax", 0),
    ]  # fmt: skip
    assert all(each.node in model.refusal and each.reason in model.refusal for each in model.unknown)
    assert texts(model) == ["conv2d_c8_kh3_kw3_sh2_sw2@3x64x64", "conv2d_c6_kh3_kw3_pvalid@4x64x64"]
    known = sum(placement.cost.macs for placement in model.placements)
    assert model.coverage().macs == known / (known + 8 * 4 * 4 * 32 * 32)
    assert model.coverage().nodes < 1
    assert model.coverage([]).macs == 0
    with pytest.raises(FormatError, match="3 operator"):
        model.architecture  # noqa: B018


@pytest.mark.parametrize(
    ("x", "match"),
    [
        ([1, 3, "height", 8], r"input 'x' has the dynamic shape \[1, 3, height, 8\]"),
        ([4, 3, 8, 8], "input 'x' has batch 4: only batch 1"),
    ],
)
def test_sizes_must_be_fixed(read: Read, x: list[int | str], match: str) -> None:
    with pytest.raises(FormatError, match=match):
        read(built([helper.make_node("Relu", ["x"], ["y"])], x, [1, 3, 8, 8]))


def test_sizes_that_open_inside_are_named(read: Read) -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="relu"),
        helper.make_node("Compress", ["a", "x.bool"], ["b"], name="compress", axis=1),
        helper.make_node("Sigmoid", ["b"], ["y"], name="sigmoid"),
        helper.make_node("Cast", ["x"], ["x.bool"], name="cast", to=TensorProto.BOOL),
    ]
    nodes.insert(0, nodes.pop())
    model = read(built(nodes, [1, 3, 8, 8], [1, "some", 8, 8]))
    assert [each.node for each in model.unknown] == ["cast", "compress", "sigmoid"]
    assert model.unknown[-1].reason == "the shape of 'y' is not fixed"


def test_external_weights_are_never_followed(read: Read, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(64))
    model = onnx.load_model_from_string(chained(("Add", ["c"]), y=[1, 4, 6, 6], c=np.zeros((1, 4, 1, 1), "f4")))
    (tensor,) = model.graph.initializer
    onnx.external_data_helper.set_external_data(tensor, f"../../../..{secret}")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    with pytest.raises(FormatError, match="'c' are in another file"):
        read(model.SerializeToString())
    del model.graph.initializer[:]
    model.graph.node.insert(0, helper.make_node("Constant", [], ["c"], value=tensor))
    with pytest.raises(FormatError, match="'c' are in another file"):
        read(model.SerializeToString())


def test_constants_that_would_fill_the_memory_are_not_computed(read: Read) -> None:
    nodes = [
        helper.make_node("ConstantOfShape", ["big"], ["many"]),
        helper.make_node("Expand", ["one", "big"], ["more"]),
        helper.make_node("Relu", ["x"], ["y"]),
    ]
    big = np.array([10**6, 10**6], np.int64)
    model = read(built(nodes, [1, 4, 6, 6], [1, 4, 6, 6], big=big, one=np.float32(1)))
    assert texts(model) == ["activation@4x6x6"]
    assert len(model.free) == 2
