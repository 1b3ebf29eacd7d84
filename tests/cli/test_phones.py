"""A table of a phone through the command line: real adb, a phone of the tests' own, a stand-in for benchmark_model."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mnas.cli.app import run
from mnas.devices import device
from mnas.ir import Shape, chain
from mnas.latency import load_table, profile
from mnas.lower import initial_weights, lower
from mnas.ops.mobile import ConvBlock, Head, MBConv
from mnas.reading import primitives_of
from tests.phones.furniture import heat
from tests.phones.phone import FakePhone
from tests.phones.replay import operators
from tests.phones.standin import install, starts

pytestmark = pytest.mark.adb
NETWORK = chain(Shape(3, 16, 16), (ConvBlock(8, 3, 2), MBConv(8), MBConv(16, 3, 2), MBConv(24), Head(16, 10)))
ROOT = Path(__file__).parents[2]
SMALL = ("profile", "--space", "primitives", "--from", "net.tflite")


@pytest.fixture
def here(fakephone: FakePhone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: the description of the phone, and a model."""
    folder = tmp_path / "here"
    (folder / "devices").mkdir(parents=True)
    monkeypatch.chdir(folder)
    describe(fakephone, "fakephone", f'binary = "{install(tmp_path)}"\n')
    text = {"architecture": str(NETWORK)}
    (folder / "net.tflite").write_bytes(lower(NETWORK, initial_weights(NETWORK), "tflite", text))
    return folder


def describe(phone: FakePhone, name: str, more: str = "") -> None:
    Path("devices", f"{name}.toml").write_text(
        f'transport = "adb"\naddress = "{phone.serial}"\nemulated = true\n{more}'
    )


def document(capsys: pytest.CaptureFixture[str], *words: object, code: int = 0) -> dict[str, Any]:
    capsys.readouterr()
    assert run([*map(str, words), "--json", "-q"]) == code, capsys.readouterr().err
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def commands_run(phone: FakePhone) -> int:
    """How many commands adb started on the phone."""
    return sum(service.partition(":")[0].split(",")[0] in ("shell", "exec") for service in phone.log)


@pytest.mark.slow
def test_the_guide_word_for_word(fakephone: FakePhone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adb = shutil.which("adb") or ""
    subprocess.run([adb, "connect", fakephone.serial], check=True, stdin=subprocess.DEVNULL, timeout=60)
    fakephone.program("taskset", '#!/bin/sh\nshift\nexec "$@"\n')  # this machine may have fewer cores than the phone
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    install(tmp_path).rename(tmp_path / "android_aarch64_benchmark_model")
    monkeypatch.chdir(tmp_path)
    guide = (ROOT / "docs/phones.md").read_text()
    blocks = re.findall(r"^```\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines() if line.startswith("mnas ")]
    assert len(commands) == 6
    for command in commands:
        assert run(shlex.split(command)[1:]) == 0, command
        if command.startswith("mnas profile"):
            assert starts(tmp_path) == load_table("phone_table").effort.starts <= 60
        if command.startswith("mnas devices add"):
            with Path("devices/phone.toml").open("a") as file:
                file.write("emulated = true\n")
    assert commands_run(fakephone) <= 60
    table = load_table("phone_table")
    assert len(table.rows) == 400
    assert not table.failed
    assert table.check.mape_percent < 1
    assert table.conditions.runtime == "benchmark_model"
    assert table.conditions.options == "delegate=xnnpack;rows=bundled"
    assert table.conditions.emulated
    assert table.conditions.affinity == "30"  # the two big cores of the phone
    assert table.facts["temperature_before_c"] == "31.2"
    for placement, row in table.rows.items():
        alone = operators(lower(placement, initial_weights(placement), "tflite"))
        assert row.median_ms == pytest.approx(sum(op.us for op in alone) / 1000, rel=0.02, abs=6e-4), str(placement)
        assert row.rounds == 3


@pytest.mark.slow
def test_a_model_is_profiled_priced_and_benched(
    here: Path, fakephone: FakePhone, capsys: pytest.CaptureFixture[str]
) -> None:
    told = document(capsys, *SMALL, "--device", "fakephone", "--delegate", "cpu", "-o", "t")
    assert told["failed"] == 0
    table = load_table("t")
    assert table.conditions.options == "delegate=cpu;rows=bundled"
    price = document(capsys, "predict", "net.tflite", "--table", "t")
    assert price["total_ms"] > 0
    assert price["coverage"] == 1
    (measured,) = document(capsys, "bench", "net.tflite", "--device", "fakephone", "--against", "t")["results"]
    assert measured["conditions"]["options"] == "delegate=cpu"
    assert measured["median_ms"] == pytest.approx(price["total_ms"], rel=0.02)
    assert measured["anchored_ms"] == pytest.approx(measured["median_ms"])


@pytest.mark.slow
def test_isolated_rows_on_the_gpu(here: Path, fakephone: FakePhone, capsys: pytest.CaptureFixture[str]) -> None:
    document(capsys, *SMALL, "--device", "fakephone", "--delegate", "gpu")
    (made,) = (here / "latency_tables").glob("*.toml")
    assert made.stem == "primitives-net-3x16x16-fakephone-benchmark_model-gpu"
    assert load_table(made.with_suffix("")).conditions.options == "delegate=gpu"
    assert run([*SMALL, "--device", "fakephone", "--delegate", "gpu", "--rows", "in-network", "-q"]) == 2
    assert "benchmark_model with delegate gpu cannot time the nodes of a network" in capsys.readouterr().err


@pytest.mark.slow
def test_a_hot_phone_cools_down(here: Path, fakephone: FakePhone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnas.latency.thermal._POLL_S", 0.01)
    heat(fakephone, 47.5)
    notes = []

    def show(done: int, total: int, note: str) -> None:
        notes.append(note)
        if "cooled down" in note:
            heat(fakephone, 33.0)

    phone = replace(device("fakephone"), max_temp_c=40.0)
    profile(primitives_of("net.tflite"), device=phone, runtime="benchmark_model", out="t", progress=show)
    assert any(note.endswith("after it has cooled down from 47.5 °C") for note in notes)
    assert sum(note.endswith("at 33.0 °C") for note in notes) == 4  # units


@pytest.mark.slow
def test_two_devices_at_once_and_one_is_absent(
    here: Path, fakephone: FakePhone, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("devices/gone.toml").write_text('transport = "adb"\naddress = "0123456789"\n')
    words = (*SMALL, "--device", "fakephone", "--device", "gone", "--benchmark-binary", tmp_path / "benchmark_model")
    capsys.readouterr()
    assert run([*map(str, words), "-o", "both", "--json", "-q"]) == 3
    out, err = capsys.readouterr()
    assert "mnas: device gone: device 'gone': phone 0123456789 is absent" in err
    fine, absent = json.loads(out)["tables"]
    assert (fine["device"], fine["failed"]) == ("fakephone", 0)
    assert "absent" in absent["error"]
    assert load_table("both-fakephone").rows
    assert not Path("both-gone.toml").exists()


def test_one_phone_under_two_names_is_refused(
    here: Path, fakephone: FakePhone, capsys: pytest.CaptureFixture[str]
) -> None:
    describe(fakephone, "same", 'binary = "x"\n')
    assert run([*SMALL, "--device", "fakephone", "--device", "same", "-q"]) == 2
    assert "fakephone and same are one machine" in capsys.readouterr().err


def test_a_phone_without_binary_says_what_to_do(
    here: Path, fakephone: FakePhone, capsys: pytest.CaptureFixture[str]
) -> None:
    describe(fakephone, "bare")
    assert run([*SMALL, "--device", "bare", "--runtime", "benchmark_model", "-q"]) == 3
    assert "device 'bare' has no benchmark_model: download the classic" in capsys.readouterr().err


def test_a_binary_for_another_processor_never_starts(
    here: Path, fakephone: FakePhone, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "for_x86"
    other.write_bytes(b"\x7fELF\x02\x01" + bytes(12) + b"\x3e\x00" + bytes(44) + b"Inference timings in us: ")
    assert run([*SMALL, "--device", "fakephone", "--benchmark-binary", str(other), "-q"]) == 3
    assert "is built for x86_64, device 'fakephone' runs arm64-v8a" in capsys.readouterr().err
    assert not any(service.startswith("sync") for service in fakephone.log)
