from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mnas.devices import Device, Heat
from mnas.errors import DeviceError
from mnas.latency import load_table
from mnas.latency.thermal import Thermometer, thermometer
from tests.latency.fakes import FakeRuntime, measure_tiny

COOL, HOT = Heat(31.2), Heat(44.0)


@dataclass
class Scene:
    """A device that tells temperatures one after the other, the last again and again."""

    heats: Iterable[Heat]
    limit: float = 40.0
    slept: list[float] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    measured: int = 0

    def watch(self) -> Thermometer:
        told = list(self.heats)
        return Thermometer(
            Device("phone", max_temp_c=self.limit), lambda: told.pop(0) if len(told) > 1 else told[0], self.slept.append
        )

    def measure(self) -> int:
        self.measured += 1
        return self.measured

    def run(self) -> int:
        found, seconds = self.watch().measured(self.measure, self.shown.append)
        assert seconds >= 0
        return found


def test_a_cool_device_is_measured_once() -> None:
    scene = Scene([COOL])
    assert scene.run() == 1
    assert scene.shown == [" at 31.2 °C"]
    assert not scene.slept


def test_a_hot_device_cools_down_first() -> None:
    scene = Scene([HOT, Heat(41.0), COOL])
    assert scene.run() == 1
    assert scene.shown == [
        ", after it has cooled down from 44.0 °C",
        ", after it has cooled down from 41.0 °C",
        " at 31.2 °C",
    ]
    assert len(scene.slept) == 2


def test_throttling_is_hot_without_a_limit() -> None:
    scene = Scene([Heat(30.0, 2), Heat(None, 1), COOL], limit=0)
    assert scene.run() == 1
    assert scene.shown[0] == ", after it has cooled down from 30.0 °C, thermal status 2"
    assert scene.shown[1] == ", after it has cooled down from thermal status 1"
    assert Scene([Heat(99.0)], limit=0).run() == 1


def test_what_was_taken_hot_is_taken_again() -> None:
    scene = Scene([COOL, HOT, HOT, COOL, COOL])
    assert scene.run() == 2
    assert len(scene.slept) == 1


def test_a_device_that_becomes_hot_each_time_is_given_up() -> None:
    scene = Scene([COOL, HOT] * 5)
    with pytest.raises(DeviceError, match=r"became hot with 44.0 °C in 3 measurements.*allow a higher --max-temp"):
        scene.run()
    assert scene.measured == 3


def test_a_device_that_stays_hot_is_given_up() -> None:
    scene = Scene([HOT])
    with pytest.raises(DeviceError, match=r"still hot with 44.0 °C after 30 minutes without work: take it out of its"):
        scene.run()
    assert scene.measured == 0


def test_a_limit_needs_a_temperature() -> None:
    with pytest.raises(DeviceError, match="tells no temperature: leave out --max-temp"):
        Scene([Heat()]).run()
    assert Scene([Heat()], limit=0).run() == 1


def test_this_machine_is_asked_only_for_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnas.latency.thermal.temperature", lambda transport: HOT)
    assert thermometer(Device("local")).read() == Heat()
    assert thermometer(Device("local", max_temp_c=40)).read() == HOT


def test_a_hot_unit_is_no_part_of_the_table(tmp_path: Path, fake: FakeRuntime, monkeypatch: pytest.MonkeyPatch) -> None:
    cool = measure_tiny(tmp_path / "cool", device=Device("phone"))
    calls = len(fake.calls)
    heats = iter([COOL, HOT, HOT, COOL])
    monkeypatch.setattr("mnas.latency.thermal.temperature", lambda transport: next(heats, COOL))
    monkeypatch.setattr("mnas.latency.thermal._POLL_S", 0.01)
    notes: list[str] = []
    table = measure_tiny(
        tmp_path / "hot", device=Device("phone", max_temp_c=40), progress=lambda done, total, note: notes.append(note)
    )
    assert len(fake.calls) == 2 * calls + 1
    assert table.samples.equals(cool.samples)
    assert load_table(tmp_path / "hot").rows == cool.rows
    assert any(note.endswith("at 31.2 °C") for note in notes)
    assert any(note.endswith("cooled down from 44.0 °C") for note in notes)
