from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mnas.errors import CheckError, FormatError
from mnas.ir import Bundle, Network, Shape, chain
from mnas.lower import initial_weights, lower, node_of
from mnas.ops.mobile import ConvBlock, Head, MBConv
from mnas.runtimes.benchmark.attribution import FileOperator, attribute, file_operators
from mnas.runtimes.benchmark.opprofile import OpTime, from_text
from mnas.spaces import sample, space
from tests.runtimes.benchmark import xnnpack
from tests.runtimes.benchmark.captures import capture

NETWORK = chain(Shape(3, 16, 16), (ConvBlock(8, 3, 2), MBConv(16, 3, 2), Head(16, 10)))
CONV, ADD, FC = (
    FileOperator("CONV_2D", "n0", True),
    FileOperator("ADD", "n1", True),
    FileOperator("FULLY_CONNECTED", "logits", False),
)


def written(network: Network, dtype: str = "float32") -> bytes:
    return lower(network, initial_weights(network), "tflite", dtype=dtype)  # type: ignore[arg-type]


def inner(*kinds: str) -> list[OpTime]:
    return [OpTime(kind, f"Delegate/{kind}:{i}", 1, 1) for i, kind in enumerate(kinds)]


def tensors(rows: list[OpTime], *operators: FileOperator) -> list[str]:
    return [each.tensor for each in attribute(rows, operators)]


def test_the_operators_of_a_file() -> None:
    found = file_operators(written(NETWORK))
    assert [each.kind for each in found][:2] == ["CONV_2D", "CONV_2D"]
    assert found[0].fused
    assert found[-1] == FileOperator("FULLY_CONNECTED", "logits", False)
    assert [node_of(each.tensor, NETWORK) for each in found] == sorted(
        node_of(each.tensor, NETWORK) or 0 for each in found
    )
    with pytest.raises(FormatError):
        file_operators(b"no file")


def test_without_delegate_rows_name_tensors() -> None:
    rows = [OpTime("CONV_2D", "[n0]:0", 1, 1), OpTime("ADD", "[n1, n2]:7", 1, 1), OpTime("?", "odd", 1, 1)]
    assert tensors(rows, CONV, ADD) == ["n0", "n1", ""]
    capture_rows = from_text(capture("bm_tf2.8_qemuriscv64.md"))
    assert attribute(capture_rows, [])[3].tensor == "MobilenetV1/MobilenetV1/Conv2d_2_depthwise/Relu6"


def test_a_delegate_that_lists_no_ops_is_refused() -> None:
    rows = from_text(capture("bm_tf2.4-2.5_android_xiaomi-mi11.md"))
    with pytest.raises(CheckError, match=r"TfLiteNnapiDelegate tells no times.*--rows isolated"):
        attribute(rows, [])


def test_rows_that_are_added_up_by_kind_are_refused() -> None:
    rows = from_text(capture("bm_new_x86_xnnpack_opprofile_excerpt.txt") + "\n")
    with pytest.raises(CheckError, match=r"cannot be told apart.*--delegate cpu"):
        attribute(rows, [FileOperator("CONV_2D", f"n{i}", True) for i in range(27)])


def test_ops_of_a_delegate_are_matched_in_order() -> None:
    rows = inner(
        "Convolution (NHWC, F32) GEMM", "Add (ND)", "Clamp (NC)", "Static Reshape (NC)", "Fully Connected (NC)"
    )
    whole = OpTime("TfLiteXNNPackDelegate", "[logits]:3", 5, 1)
    expected = ["n0", "n1", "n1", "logits", "logits"]
    assert tensors(rows, CONV, ADD, FC) == expected
    assert tensors([whole, *reversed(rows)], CONV, ADD, FC) == expected


def test_other_ops_before_the_delegate_stay() -> None:
    first = OpTime("QUANTIZE", "[q]:0", 1, 1)
    assert tensors([first, *inner("Add (ND)")], FileOperator("QUANTIZE", "q", False), ADD) == ["q", "n1"]


def test_other_ops_may_lie_between_those_of_one_part() -> None:
    """Nothing of the delegate reads them: they are of another row of a bundle."""
    between = OpTime("CONCATENATION", "[n1]:1", 1, 1)
    operators = (CONV, FileOperator("CONCATENATION", "n1", False), ADD._replace(tensor="n2"))
    assert tensors([between, *inner("Convolution (NHWC)", "Add (ND)")], *operators) == ["n1", "n0", "n2"]


@pytest.mark.parametrize(
    ("rows", "operators", "message"),
    [
        (inner("Add (ND)"), [CONV], "runs 'Add \\(ND\\)' where the file has CONV_2D"),
        (inner("Add (ND)", "Add (ND)"), [ADD], "no more operators"),
        (inner("Add (ND)"), [ADD, FC], "no time of FULLY_CONNECTED logits"),
        ([inner("Add (ND)")[0]._replace(calls=2)], [ADD, ADD], "cannot be told apart"),
        ([*inner("Add (ND)"), *inner("Add (ND)")], [ADD, ADD], "cannot be told apart"),
        ([*inner("Add (ND)"), *inner("Multiply (ND)"), OpTime("CONV_2D", "[n0]:1", 1, 1)], [ADD, CONV, FC], "told"),
    ],
)
def test_what_does_not_match_is_refused(rows: list[OpTime], operators: list[FileOperator], message: str) -> None:
    with pytest.raises(CheckError, match=message):
        attribute(rows, operators)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("name", ["mnasnet-small", "nasrl", "nasbench201", "nasnet"])
@pytest.mark.slow
def test_the_real_xnnpack_is_attributed_or_refused(name: str, dtype: str, tmp_path: Path) -> None:
    each = space(name)
    for encoding in sample(each, np.random.default_rng(1), 3).tolist():
        network = each.decode(tuple(encoding))
        path = tmp_path / "network.tflite"
        path.write_bytes(written(network, dtype))
        operators = file_operators(path.read_bytes())
        rows = xnnpack.rows(path, [operator.tensor for operator in operators])
        if dtype == "int8" and name.startswith("nas") and name != "nasrl":  # RELU and average pools stay outside
            with pytest.raises(CheckError, match="cannot be told apart"):
                attribute(rows, operators)
            continue
        found = attribute(rows, operators)
        assert len(found) == len(rows)
        assert {each.tensor for each in found} == {operator.tensor for operator in operators}
        nodes = [node_of(each.tensor, network) for each in found]
        assert None not in nodes


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("name", ["mnasnet-small", "nasrl", "nasbench201", "nasnet"])
@pytest.mark.slow
def test_the_real_xnnpack_runs_bundles_in_order(name: str, dtype: str, tmp_path: Path) -> None:
    rows = list(space(name).placements())
    chosen = np.random.default_rng(2).permutation(len(rows))[:150]
    bundle = Bundle(tuple(rows[i] for i in chosen))
    path = tmp_path / "bundle.tflite"
    path.write_bytes(written(bundle, dtype))
    operators = file_operators(path.read_bytes())
    times = xnnpack.rows(path, [operator.tensor for operator in operators])
    if (name, dtype) == ("nasbench201", "int8"):  # an average pool, left to the built-in kernels, amid a row
        with pytest.raises(CheckError, match="cannot be told apart"):
            attribute(times, operators)
        return
    found = attribute(times, operators)
    assert len(found) == len(times)
    assert {each.tensor for each in found} == {operator.tensor for operator in operators}
    assert {node_of(each.tensor, bundle) for each in found} == set(range(len(rows[:150])))
