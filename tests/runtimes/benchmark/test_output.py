from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnas.errors import FormatError
from mnas.runtimes.benchmark.output import Summary, failure, summary
from tests.runtimes.benchmark.captures import capture

END = "Inference timings in us: Init: 1, First inference: 1, Warmup (avg): 1, Inference (avg): 1\n"


def test_a_new_capture() -> None:
    assert summary(capture("bm_new_android_termux_p5median.txt")) == Summary(24, 42394.8, 41938, 42840)


def test_an_old_capture_has_averages_with_exponents() -> None:
    text = capture("bm_tf2.8_qemuriscv64.md")
    assert summary(text[: text.index("Build sample") + len(text)]) == Summary(50, 2.95034e6, 2727568, 3189954)
    assert failure(0, text, "xnnpack") == ""


def test_a_capture_of_a_phone() -> None:
    text = capture("bm_tf2.4-2.5_android_xiaomi-mi11.md")
    first = text[text.index("count=50 first=249042") :].split("```")[0]
    assert summary(first) == Summary(50, 249684, 247067, 254474)


def test_a_failure_tells_its_first_error() -> None:
    text = capture("bm_new_android_failure.txt")
    assert failure(1, text, "xnnpack").startswith("ERROR: tensorflow/lite/kernels/batch_matmul.cc:353")
    assert failure(0, text, "xnnpack").startswith("ERROR: tensorflow/lite/kernels/batch_matmul.cc:353")
    with pytest.raises(FormatError, match="not a whole output"):
        summary(text)


def test_the_other_tool_of_this_name_is_told_apart() -> None:
    with pytest.raises(FormatError, match="CompiledModel benchmark"):
        summary(capture("bm_litert2_compiledmodel.txt"))


@pytest.mark.parametrize("prefix", ["", "INFO: "])
def test_one_run_and_equal_runs(prefix: str) -> None:
    assert summary(f"{prefix}count=1 curr=12\n{prefix}{END}") == Summary(1, 12, 12, 12)
    assert summary(f"{prefix}count=1 curr=99\n\n{prefix}count=50 curr=7(all same)\n{prefix}{END}") == Summary(
        50, 7, 7, 7
    )


@given(st.lists(st.integers(1, 10**8), min_size=2, max_size=9), st.booleans(), st.booleans())
def test_what_is_printed_is_read(us: list[int], new: bool, percentiles: bool) -> None:
    prefix, avg = "INFO: " if new else "", sum(us) / len(us)
    tail = f" p5={us[0]} median={us[0]} p95={us[0]}" if percentiles else ""
    line = f"count={len(us)} first={us[0]} curr={us[-1]} min={min(us)} max={max(us)} avg={avg:.6g} std=0{tail}"
    text = f"{prefix}count=1 curr=5\n{prefix}{line}\n\n{prefix}{END}"
    found = summary(text)
    assert (found.runs, found.min_us, found.max_us) == (len(us), min(us), max(us))
    assert found.avg_us == pytest.approx(avg, rel=1e-5)
    for cut in range(0, text.index("Inference"), 7):
        with pytest.raises(FormatError):
            summary(text[:cut])


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        summary(text)
    with pytest.raises(FormatError):
        summary(f"count=3 {text}\n{END}")


@pytest.mark.parametrize(
    "line",
    [
        "count=0",
        "count=2 first=1 curr=1 min=-5 max=9 avg=2 std=1",
        "count=2 first=1 curr=1 min=3 max=9 avg=2 std=1",
        "count=2 first=1 curr=1 min=1 max=9 avg=10 std=1",
        "count=2 first=1 curr=1 min=1 max=9 avg=-nan std=1",
        "count=2 first=1 curr=1 min=0 max=inf avg=4 std=1",
        "count=2 first=1 curr=1 min=1 max=9 std=1",
        "count=1 curr=0",
    ],
)
def test_impossible_times_are_refused(line: str) -> None:
    with pytest.raises(FormatError, match="count="):
        summary(f"{line}\n{END}")


def test_signals_codes_and_last_words() -> None:
    assert failure(134, "", "cpu") == "the runtime died of SIGABRT"
    assert failure(139, "INFO: STARTING!", "cpu") == "the runtime died of SIGSEGV"
    assert failure(1, "STARTING!\ncannot open it\nBenchmarking failed.\n", "cpu") == "cannot open it"
    assert failure(3, "", "cpu") == "benchmark_model ended with code 3"


def test_a_model_that_ran_elsewhere_failed() -> None:
    refused = "INFO: Though GPU delegate is explicitly applied, the model graph will not be executed by the delegate."
    old = "Though GPU delegate is explicitly applied, the model graph will not be executed w/ the delegate."
    applied = "INFO: Explicitly applied GPU delegate, and the model graph will be completely executed by the delegate."
    partly = "Applied GPU delegate, and the model graph will be partially executed w/ the delegate."
    silent = "INFO: Created TensorFlow Lite XNNPACK delegate for CPU."
    assert [bool(failure(0, text, "gpu")) for text in (refused, old, applied, partly, silent)] == [1, 1, 0, 0, 1]
    assert failure(0, silent, "xnnpack") == ""
    assert "the xnnpack delegate takes no part" in failure(0, refused.replace("GPU", "XNNPACK"), "xnnpack")
