"""The list of devices."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnas.devices import Device, connect, survey
from mnas.devices.surveying import readiness
from tests.phones.phone import FakePhone


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty `./devices` and no devices of the user."""
    (tmp_path / "work" / "devices").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "work" / "devices"


def plug_in(phone: FakePhone) -> None:
    """Let adb see a phone that no file describes, as when it is plugged in."""
    connect(Device("x", "adb", phone.serial))


def status(name: str) -> tuple[str, str]:
    """Status of a device in the list, and what to do."""
    seen = {each.name: each for each in survey()}
    assert seen["local"].status == "ready"
    return seen[name].status, seen[name].todo


def test_broken_devices_break_no_list(here: Path) -> None:
    (here / "wrong.toml").write_text("transprot = 'adb'")
    (here / "pixel.toml").write_text("transport = 'adb'\naddress = 'R58M12'")
    (here / "odd.toml").write_text("transport = 'pigeon'")
    (here / "snake.toml").write_text("python = '/no/such/python'")
    seen = {each.name: each for each in survey()}
    assert sorted(seen) == ["amd-epyc", "local", "odd", "pixel", "snake", "wrong"]
    assert seen["wrong"].status == "wrong file"
    assert "unknown keys transprot" in seen["wrong"].todo
    assert (seen["odd"].status, seen["odd"].transport) == ("unreachable", "pigeon")
    assert seen["snake"].status == "no python"
    assert seen["pixel"].status == "no adb"
    assert "install it" in seen["pixel"].todo


def test_a_python_without_a_runtime() -> None:
    told = {"status": "ready", "python": "3.11.2", "wheels": "numpy 2.0"}
    board = Device("board", "ssh", "pi@board")
    found, todo = readiness(board, told)
    assert found == "no runtime"
    assert "python3 -m pip install ai-edge-litert onnxruntime" in todo
    assert readiness(board, told | {"wheels": "onnxruntime 1.22"}) == ("ready", "")


@pytest.mark.adb
def test_phones_are_discovered(fakephone: FakePhone) -> None:
    plug_in(fakephone)
    seen = next(each for each in survey() if each.name == fakephone.serial)
    assert not seen.described
    assert seen.status == "ready"
    assert seen.todo == f"describe it: mnas devices add NAME --transport adb --address {fakephone.serial}"
    assert seen.facts["soc"] == "Makers MS100"


@pytest.mark.adb
def test_states_of_described_phones(fakephone: FakePhone, here: Path) -> None:
    (here / "pixel.toml").write_text(f"transport = 'adb'\naddress = '{fakephone.serial}'")
    (here / "gone.toml").write_text("transport = 'adb'\naddress = 'R58M12'")
    assert status("pixel") == ("ready", "")
    assert status("gone")[0] == "absent"
    fakephone.state = "unauthorized"
    assert status("pixel")[0] == "unreachable"
    assert "accept its prompt" in status("pixel")[1]
    assert status("pixel")[0] == "unauthorized"
    fakephone.unplug()
    assert status("pixel")[0] in ("unreachable", "offline")
