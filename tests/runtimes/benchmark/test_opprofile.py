from __future__ import annotations

from collections.abc import Callable

import pytest
from ai_edge_litert.profiling_info_pb2 import BenchmarkProfilingData
from hypothesis import given
from hypothesis import strategies as st

from mnas.errors import FormatError
from mnas.runtimes.benchmark.opprofile import OpTime, from_csv, from_proto, from_text
from tests.runtimes.benchmark.captures import capture

HEADING = "Operator-wise Profiling Info for Regular Benchmark Runs:\n"
TITLE = "============================== Run Order ==============================\n"
KINDS = st.sampled_from(
    ["CONV_2D", "Convolution (NHWC, QC8) GEMM", "Mean (ND) Reduce2", "TfLiteNnapiDelegate", "A 2", "Pow 2.5"]
)
NAMES = st.sampled_from(["[n0.2]:0", "[a, b, c/d]:231", "Delegate/Convolution (NHWC, QC8) GEMM:2", "[1 2]:3"])
ROWS = st.lists(
    st.builds(OpTime, KINDS, NAMES, st.integers(0, 10**9).map(float), st.integers(1, 40)), min_size=1, max_size=6
)


def total_us(rows: list[OpTime]) -> float:
    return sum(row.us * row.calls for row in rows)


def test_the_sum_of_ops_is_what_the_tool_sums_up() -> None:
    rows = from_text(capture("bm_tf2.8_qemuriscv64.md"))
    assert len(rows) == 31
    assert total_us(rows) == pytest.approx(2.9499e6, abs=60)
    assert rows[0] == OpTime("CONV_2D", "[MobilenetV1/MobilenetV1/Conv2d_0/Relu6]:0", 60957.0, 1)


def test_a_delegate_has_several_outputs() -> None:
    rows = from_text(capture("bm_tf2.4-2.5_android_xiaomi-mi11.md"))
    assert len(rows) == 11
    assert total_us(rows) == pytest.approx(158715, abs=20)
    assert rows[6].name == "[model/tf.nn.silu_16/mul, model/tf.nn.silu_26/mul, model/tf.nn.silu_35/mul]:231"


def test_times_are_of_one_call() -> None:
    rows = from_text(capture("bm_new_x86_xnnpack_opprofile_excerpt.txt") + "\n")
    assert rows[2]._replace(us=round(rows[2].us, 6)) == OpTime(
        "Convolution (NHWC, QC8) DWConv", "Delegate/Convolution (NHWC, QC8) DWConv:1", 51.0, 13
    )
    share = 4.317 / 1.328  # of the first row, by the column of shares
    assert rows[2].us * rows[2].calls == pytest.approx(rows[0].us * share, rel=0.01)


def test_csv_with_a_column_of_starts() -> None:
    rows = from_csv(capture("bm_csv_with_start_column.txt") + "\n")
    assert [row.kind for row in rows] == ["CONV_2D", "ELU", "AVERAGE_POOL_2D", "CONV_2D"]
    assert rows[0].us == pytest.approx(93.0388)
    assert rows[3].name == "[sequential_11/conv2d_34/Conv2D]:3"


def as_text(rows: list[OpTime], start: bool) -> str:
    head = (
        "\t[node type]" + "\t[start]" * start + "\t[first]\t[avg ms]\t[%]\t[cdf%]\t[mem KB]\t[times called]\t[Name]\n"
    )
    lines = (
        f"\t{row.kind:>24}" + "\t  0.500" * start
        + f"\t{row.us / 1000:.3f}\t{row.us / 1000:9.3f}\t 1.000%\tnan%\t0.000\t{row.calls:9}\t{row.name}\n"
        for row in rows
    )  # fmt: skip
    return f"nothing\n{HEADING}{TITLE}{head}{''.join(lines)}\n{TITLE}"


def as_csv(rows: list[OpTime], start: bool) -> str:
    head = "node type, " + "start, " * start + "first, avg_ms, %, cdf%, mem KB, times called, name\n"
    lines = (
        f"{row.kind}, " + "0.5, " * start
        + f"1e-05, {row.us / 1000!r}, 44.8994%, 100%, 0, {row.calls}, {row.name}\n"
        for row in rows
    )  # fmt: skip
    return f"{HEADING}{TITLE}{head}{''.join(lines)}\n"


def as_proto(rows: list[OpTime], runs: int = 4) -> bytes:
    data = BenchmarkProfilingData()
    graph = data.runtime_profile.subgraph_profiles.add()
    for i, row in reversed(list(enumerate(rows))):
        op = graph.per_op_profiles.add(node_type=row.kind, name=row.name, times_called=row.calls, run_order=i)
        op.inference_microseconds.sum = round(row.us * runs * row.calls)
        op.inference_microseconds.count = runs * row.calls
    return bytes(data.SerializeToString())


@given(ROWS, st.booleans())
def test_what_is_printed_is_read(rows: list[OpTime], start: bool) -> None:
    for found in (from_text(as_text(rows, start)), from_csv(as_csv(rows, start))):
        assert [row.us for row in found] == pytest.approx([row.us for row in rows])
        assert [row._replace(us=0) for row in found] == [row._replace(us=0) for row in rows]
    assert from_proto(as_proto(rows)) == rows


@given(st.integers(0, 400))
def test_half_a_table_is_refused(cut: int) -> None:
    rows = [OpTime("ADD", "[a]:0", 12, 1), OpTime("Add (ND)", "Delegate/Add (ND):0", 3, 1)]
    for whole, read in ((as_text(rows, False), from_text), (as_csv(rows, True), from_csv)):
        if len(whole[:cut].strip()) < len(whole.removesuffix(TITLE).strip()):
            with pytest.raises(FormatError):
                read(whole[:cut])


@pytest.mark.parametrize("ms", ["-0.100", "nan", "inf", "1.2.3"])
@pytest.mark.parametrize(("read", "write"), [(from_text, as_text), (from_csv, as_csv)])
def test_impossible_times_are_refused(
    ms: str, read: Callable[[str], list[OpTime]], write: Callable[[list[OpTime], bool], str]
) -> None:
    text = write([OpTime("ADD", "[a]:0", 77000, 1)], True).replace("77.000", ms).replace("77.0", ms)
    with pytest.raises(FormatError, match="benchmark_model"):
        read(text)


def test_damaged_protobufs_are_refused() -> None:
    rows = [OpTime("ADD", "[a]:0", 12, 1)]
    for data in (b"", b"\xff\xff", b"nonsense", as_proto(rows)[:-3]):
        with pytest.raises(FormatError):
            from_proto(data)
    impossible = BenchmarkProfilingData()
    impossible.runtime_profile.subgraph_profiles.add().per_op_profiles.add(name="[a]:0", times_called=1)
    with pytest.raises(FormatError, match="impossible"):
        from_proto(impossible.SerializeToString())


@given(st.binary(max_size=60), st.text(max_size=60))
def test_anything_else_is_refused(data: bytes, text: str) -> None:
    for read in (from_text, from_csv):
        with pytest.raises(FormatError):
            read(text)
        with pytest.raises(FormatError):
            read(f"{HEADING}{TITLE}{text}")
    with pytest.raises(FormatError):
        from_proto(data)
