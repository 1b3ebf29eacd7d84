from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mnas.devices import Device
from mnas.errors import DeviceError, MnasError
from mnas.runtimes import COLUMNS, Measurement, Plan, runtimes

LOCAL = Device("local")
Words = Callable[..., dict[str, Path]]
StandIn = Callable[..., Path]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where work folders are made; it must be empty at the end of each measurement."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def measure(models: dict[str, Path], plan: Plan) -> Measurement:
    return runtimes["onnxruntime"].measure(LOCAL, models, plan)


def test_samples_are_complete_and_seeded(stand_in: StandIn, words: Words, temporary: Path) -> None:
    stand_in()
    models = words(*["ok"] * 8)
    plan = Plan(passes=3, reps=2, evict_kib=8, seed=5)
    first, again = measure(models, plan), measure(models, plan)
    samples = first.samples
    assert samples.dtypes.astype(str).to_dict() == COLUMNS
    assert len(samples) == 8 * 3 * 2
    assert list(samples["visit"]) == [i // 2 for i in range(48)]
    assert list(samples["rep"]) == [0, 1] * 24
    assert (samples[["wall_ns", "cpu_ns"]] >= 0).all(axis=None)
    orders = [tuple(visited["item"].drop_duplicates()) for _, visited in samples.groupby("round")]
    assert len(set(orders)) == 3
    assert all(sorted(order) == sorted(models) for order in orders)
    assert list(again.samples["item"]) == list(samples["item"])
    other = measure(models, Plan(passes=3, reps=2, evict_kib=8, seed=6))
    assert list(other.samples["item"]) != list(samples["item"])
    assert first.checksums == dict.fromkeys(models, 5.0)
    assert not first.failed
    assert not list(temporary.iterdir())


def test_failing_models_leave_the_others(stand_in: StandIn, words: Words) -> None:
    stand_in()
    models = words("ok", "raise", "late", "junk", "ok")
    got = measure(models, Plan(passes=4, reps=1, evict_kib=0))
    assert got.failed == {
        "raise 1": "ValueError: cannot do this",
        "late 2": "ValueError: cannot do this",
        "junk 3": "RuntimeError",
    }
    assert got.samples["item"].value_counts().to_dict() == {"ok 0": 4, "ok 4": 4}
    assert list(got.samples.index) == list(range(8))


def test_a_missing_file_is_no_fault_of_its_model(stand_in: StandIn, words: Words, tmp_path: Path) -> None:
    stand_in()
    with pytest.raises(MnasError, match=r"gone\.onnx is gone: run the same command again"):
        measure(words("ok") | {"gone": tmp_path / "gone.onnx"}, Plan())
    models = words("ok", "raise")
    stand_in(after=f"os.unlink({str(models['raise 1'])!r})")
    with pytest.raises(MnasError, match=r"1\.onnx is gone"):
        measure(models, Plan())


def test_crashing_models_are_found_and_left_out(stand_in: StandIn, words: Words, temporary: Path) -> None:
    stand_in()
    models = words("ok", "abort", "late abort", "ok", "raise")
    got = measure(models, Plan(passes=4, reps=1, evict_kib=0))
    assert got.failed == {
        "abort 1": "the runtime died of SIGABRT",
        "late abort 2": "the runtime died of SIGABRT",
        "raise 4": "ValueError: cannot do this",
    }
    assert got.samples["item"].value_counts().to_dict() == {"ok 0": 4, "ok 3": 4}
    assert not list(temporary.iterdir())


def test_no_models_give_no_samples(stand_in: StandIn, words: Words) -> None:
    stand_in()
    got = measure(words("raise"), Plan())
    assert got.samples.empty
    assert got.samples.dtypes.astype(str).to_dict() == COLUMNS
    assert measure({}, Plan()).samples.empty


def test_no_model_is_blamed_for_a_lack_of_memory(stand_in: StandIn, words: Words, temporary: Path) -> None:
    stand_in()
    message = "killed the runner with 2 models, busy with kill 1; if memory ran out, measure fewer"
    with pytest.raises(DeviceError, match=message):
        measure(words("ok", "kill"), Plan())
    assert not list(temporary.iterdir())


def test_time_out_names_the_model_in_hand(
    stand_in: StandIn, words: Words, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    communicate = subprocess.Popen.communicate
    runners = []

    def until_it_hangs(self: subprocess.Popen[str], *args: Any, **kwargs: Any) -> tuple[str, str]:
        if isinstance(self.args, list) and str(self.args[1]).endswith("runner.py"):
            runners.append(self)
            while "1" not in [path.read_text().strip() for path in temporary.glob("*/response.json.progress")]:
                assert self.poll() is None
            raise subprocess.TimeoutExpired(self.args, kwargs["timeout"])
        return communicate(self, *args, **kwargs)

    stand_in()
    monkeypatch.setattr(subprocess.Popen, "communicate", until_it_hangs)
    with pytest.raises(DeviceError, match=r"took more than 600 s \(busy with hang 1\)"):
        measure(words("ok", "hang"), Plan(timeout_s=600))
    assert [runner.returncode for runner in runners] == [-signal.SIGKILL]
    assert not list(temporary.iterdir())


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("", "open(sys.argv[2], 'w').write('{\"schema\":1,')", "'local': not an answer of the runner"),
        ("", "open(sys.argv[2], 'wb').write(b'\\xff')", "'local': 'utf-8' codec"),
        ("", "os.unlink(sys.argv[2])", "cannot copy .*response.json"),
        ("sys.exit('no luck')", "", "the runner ended with code 1: no luck"),
        ("os.abort()", "", "the runner ended with code -6"),
        ("runner.SCHEMA = 99", "", "schema 99 instead of 1"),
        ("runner.perf_counter_ns = iter(range(10**6, 0, -9)).__next__", "", r"ran backwards \(a run took -9 ns\)"),
        ("runner.perf_counter_ns = lambda: 7", "", r"stood still or ran backwards \(a run took 0 ns\)"),
        ("", "os._exit(5)", "the runner ended with code 5"),
    ],
)
def test_nonsense_is_refused(stand_in: StandIn, words: Words, before: str, after: str, message: str) -> None:
    stand_in(before, after)
    with pytest.raises(DeviceError, match=message):
        measure(words("ok"), Plan(passes=1, reps=1))


def test_missing_wheel_says_how_to_install_it(stand_in: StandIn, words: Words, tmp_path: Path) -> None:
    stand_in("def absent(num_threads, seed): import no_such_wheel\nrunner.RUNTIMES['onnxruntime'] = absent")
    message = r"'local' cannot run onnxruntime \(No module named 'no_such_wheel'\).*-m pip install onnxruntime"
    with pytest.raises(DeviceError, match=message):
        measure(words("ok"), Plan())
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S -E "$@"\n')  # -S: without site-packages
    python.chmod(0o755)
    bare = Device("bare", python=str(python))
    with pytest.raises(DeviceError, match=f"install it there with: {python} -m pip install onnxruntime"):
        runtimes["onnxruntime"].conditions(bare, Plan())
    with pytest.raises(DeviceError, match="'bare' cannot run onnxruntime"):
        runtimes["onnxruntime"].measure(bare, words("ok"), Plan())


def test_runner_ends_when_its_parent_is_gone(stand_in: StandIn, words: Words, tmp_path: Path) -> None:
    request = {"runtime": "onnxruntime", "wheel": "onnxruntime", "seed": 0, "num_threads": 1, "evict_kib": 0}
    request |= {"passes": 10**6, "reps": 1, "warmups": 0, "models": [str(path) for path in words("slow").values()]}
    (tmp_path / "request.json").write_text(json.dumps(request))
    argv = [sys.executable, str(stand_in()), str(tmp_path / "request.json"), str(tmp_path / "response.json")]
    parent = f"import subprocess; child = subprocess.Popen({argv!r}); print('started', flush=True); child.wait()"
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        progress = tmp_path / "response.json.progress"
        while not (progress.exists() and progress.read_text()):
            assert process.poll() is None
        process.kill()
        process.communicate(timeout=30)  # ends when the runner closes the pipe it inherited
    assert not (tmp_path / "response.json").exists()
