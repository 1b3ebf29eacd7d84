from __future__ import annotations

import threading
from pathlib import Path

import pytest

from mnas.devices import Device
from mnas.errors import ConfigError, DeviceError, UnknownNameError
from mnas.latency import LatencyTable, beside, side_by_side
from mnas.progress import Progress
from tests.latency.fakes import FakeRuntime, measure_tiny

PI, PHONE, HOST = Device("pi", "ssh", "pi.local"), Device("phone", "adb", "0123"), Device("local")


def outs(folder: Path, *devices: Device) -> list[Path]:
    return [beside(folder / "t", device) for device in devices]


def test_each_device_has_its_table(tmp_path: Path, fake: FakeRuntime) -> None:
    both, notes = threading.Barrier(2, timeout=60), []

    def measure(device: Device, out: Path, progress: Progress) -> LatencyTable:
        both.wait()  # so that they really go on at the same time
        return measure_tiny(out, progress=progress)

    devices = [PI, PHONE]
    found = side_by_side(devices, outs(tmp_path, *devices), measure, lambda *told: notes.append(told))
    assert [outcome.device for outcome in found] == devices
    assert [outcome.out for outcome in found] == [tmp_path / "t-pi", tmp_path / "t-phone"]
    assert all(outcome.table and not outcome.error for outcome in found)
    assert (tmp_path / "t-pi.toml").is_file()
    assert (tmp_path / "t-phone.toml").is_file()
    assert notes[-1][0] == notes[-1][1] > 0
    assert {note.split(":")[0] for _, _, note in notes} == {"pi", "phone"}


def test_one_that_fails_does_not_stop_the_others(tmp_path: Path, fake: FakeRuntime) -> None:
    def measure(device: Device, out: Path, progress: Progress) -> LatencyTable:
        if device == PI:
            raise DeviceError("it is gone")
        return measure_tiny(out)

    gone, fine = side_by_side([PI, PHONE], outs(tmp_path, PI, PHONE), measure)
    assert gone.table is None
    assert str(gone.error) == "it is gone"
    assert fine.table is not None
    assert fine.error is None


def test_an_interrupt_lets_each_finish_the_process_in_hand(tmp_path: Path) -> None:
    started, stop = threading.Event(), threading.Event()
    ended: list[str] = []

    def measure(device: Device, out: Path, progress: Progress) -> LatencyTable:
        if device == PI:
            started.wait(60)
            raise RuntimeError("a bug")
        progress(0, 2, "first")
        started.set()
        stop.wait(60)
        ended.append("first")
        progress(1, 2, "second")
        raise AssertionError("it went on")

    def interrupted(*_: object) -> None:
        stop.set()
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mnas.latency.several.wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            side_by_side([PI, PHONE], outs(tmp_path, PI, PHONE), measure)
    assert ended == ["first"]


@pytest.mark.parametrize(
    "devices", [[HOST, Device("me")], [PI, PI], [PI, Device("other", "ssh", "pi.local")], [HOST, PI, Device("me")]]
)
def test_one_machine_is_not_measured_twice_at_once(devices: list[Device], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"are one machine .* measure them one after the other"):
        side_by_side(devices, outs(tmp_path, *devices), lambda *_: pytest.fail("it was measured"))


def test_an_unknown_transport_is_told_before_anything(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="pigeon"):
        side_by_side([Device("a", "pigeon"), PI], outs(tmp_path, PI, PI), lambda *_: pytest.fail("it was measured"))
