"""Whatever goes wrong with a phone once: a clear error, then the same command ends with the same table.

The adb client and server are real; the phone is the tests' own, and a stand-in plays benchmark_model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mnas.devices import Device, transports
from mnas.devices.adb import AdbTransport
from mnas.errors import CheckError, DeviceError
from mnas.ir import Shape, chain
from mnas.latency import LatencyTable, load_table, profile
from mnas.lower import initial_weights, lower
from mnas.ops.mobile import ConvBlock, Head, MBConv
from mnas.reading import primitives_of
from tests.faults.injection import Injector
from tests.phones.faults import Action, Point
from tests.phones.phone import FakePhone
from tests.phones.standin import install

pytestmark = [pytest.mark.adb, pytest.mark.slow]
NETWORK = chain(Shape(3, 8, 8), (ConvBlock(8, 3, 2), MBConv(16), Head(16, 10)))
SCRIPT, RESULTS, ANY = r"set -- sh \S+/run\.sh", r"results\.tar", r"mnas\."
VANISHED = "vanished while"
FAULTS: dict[str, tuple[Point, Action, str, str]] = {
    "unplugged before push": ("push", "unplug", ANY, VANISHED),
    "unplugged during push": ("pushing", "unplug", ANY, VANISHED),
    "unplugged after push": ("pushed", "unplug", ANY, VANISHED),
    "unplugged before run": ("run", "unplug", SCRIPT, VANISHED),
    "unplugged during run": ("running", "unplug", SCRIPT, VANISHED),
    "unplugged after run": ("ran", "unplug", SCRIPT, VANISHED),
    "unplugged before pull": ("pull", "unplug", RESULTS, VANISHED),
    "unplugged during pull": ("pulling", "unplug", RESULTS, VANISHED),
    "unplugged after pull": ("pulled", "unplug", RESULTS, ""),
    "connection dropped during run": ("running", "drop", SCRIPT, VANISHED),
    "rebooted during run": ("running", "reboot", SCRIPT, VANISHED),
    "disk full in push": ("push", "full", ANY, "no space left there"),
}
INJECTED = {
    "kill": r"the script that runs benchmark_model ended with code -9",
    "wrong exit code": "the script that runs benchmark_model ended with code 3",
    "exit code 0 without an answer": r"cannot copy \S+results\.tar",
    "full disk in run": "No space left on device.*is there room left on the device",
    "partial answer": "results of the script are cut short or damaged",
    "garbage answer": "results of the script are cut short or damaged",
}
TOOL = {
    "kill": "killed benchmark_model",
    "garbage": "not a whole output of benchmark_model",
    "partial": "not a whole output of benchmark_model",
    "backwards": "did the clock go backwards",
    "full": "is there room left on the device",
}


@pytest.fixture
def measure(fakephone: FakePhone, tmp_path: Path) -> Callable[..., LatencyTable]:
    """Profile on the phone, as the same command would."""
    (tmp_path / "net.tflite").write_bytes(lower(NETWORK, initial_weights(NETWORK), "tflite"))
    space = primitives_of(str(tmp_path / "net.tflite"))

    def profiled(out: str, transport: str = "adb", binary: Path | None = None) -> LatencyTable:
        phone = Device("phone", transport, fakephone.serial, binary=str(binary or install(tmp_path)))
        return profile(
            space, device=phone, runtime="benchmark_model", out=tmp_path / out, passes=1, reps=2, loads=1,
            networks=(8, 4, 6), max_minutes=0,
        )  # fmt: skip

    return profiled


def check_whole(table: LatencyTable, other: LatencyTable, phone: FakePhone, left: int = 0) -> None:
    """A table is as if nothing had happened, and no more than the folder of the lost connection is on the phone."""
    assert table.rows == other.rows
    assert not table.failed
    assert table.samples.equals(other.samples)
    assert len(list(phone.file("/data/local/tmp").glob("mnas.*"))) <= left


@pytest.mark.parametrize("name", list(FAULTS))
def test_the_same_command_goes_on(
    name: str, measure: Callable[..., LatencyTable], fakephone: FakePhone, tmp_path: Path
) -> None:
    point, action, match, message = FAULTS[name]
    fakephone.fail(point, action, match, skip=1 if action == "full" else 0)
    if message:
        with pytest.raises(DeviceError, match=f"device 'phone'.*{message}"):
            measure("table")
        assert not (tmp_path / "table.toml").exists()
        assert (tmp_path / "table.partial").exists()
    else:  # everything had arrived
        with pytest.raises(DeviceError):
            measure("table")
    assert fakephone.faults[0].times == 0
    if action == "unplug":
        fakephone.plug_in()
    table = measure("table")
    assert load_table(tmp_path / "table").rows == table.rows
    check_whole(table, measure("other"), fakephone, left=action != "full")


def test_a_hang_ends_when_the_time_is_up(
    measure: Callable[..., LatencyTable], fakephone: FakePhone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnas.latency.measuring._LEAST_TIMEOUT_S", 5.0)
    monkeypatch.setattr("mnas.latency.measuring._SLOWER", 0)
    fakephone.fail("running", "hang", SCRIPT)
    with pytest.raises(DeviceError, match=r"device 'phone': 'sh' took more than .* s, busy with "):
        measure("table")
    monkeypatch.undo()
    table = measure("table")
    check_whole(table, measure("other"), fakephone)


@pytest.fixture
def injected(request: pytest.FixtureRequest) -> Iterator[Injector]:
    list(transports)
    made = Injector(request.param, program="run.sh", file="results.tar", inner=AdbTransport)
    transports.register("faulty")(made)
    yield made
    del transports._entries["faulty"]


@pytest.mark.parametrize("injected", list(INJECTED), indirect=True)
def test_answers_that_are_none(
    injected: Injector, measure: Callable[..., LatencyTable], fakephone: FakePhone, tmp_path: Path
) -> None:
    with pytest.raises(DeviceError, match=f"device 'phone'.*{INJECTED[injected.fault]}"):
        measure("table", "faulty")
    assert injected.happened == 1
    assert not (tmp_path / "table.toml").exists()
    check_whole(measure("table", "faulty"), measure("other", "faulty"), fakephone)


@pytest.mark.parametrize("fault", list(TOOL))
def test_a_tool_that_tells_nonsense_makes_no_table(
    fault: str, measure: Callable[..., LatencyTable], fakephone: FakePhone, tmp_path: Path
) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    with pytest.raises(DeviceError, match=f"device 'phone'.*{TOOL[fault]}"):
        measure("table", binary=install(folder, faults={fault: "TFL3"}))
    assert not (tmp_path / "table.toml").exists()
    assert not list(fakephone.file("/data/local/tmp").glob("mnas.*"))


@pytest.mark.parametrize(
    ("fault", "reason"), [("crash", "the runtime died of SIGABRT"), ("refuse", "failed to prepare")]
)
def test_a_row_that_fails_is_marked(
    fault: str, reason: str, fakephone: FakePhone, tmp_path: Path, measure: Callable[..., LatencyTable]
) -> None:
    space = primitives_of(str(tmp_path / "net.tflite"))
    rows = list(space.placements())
    phone = Device("phone", "adb", fakephone.serial, binary=str(install(tmp_path, faults={fault: f'"{rows[0]}"'})))
    table = profile(
        space, device=phone, runtime="benchmark_model", rows="isolated", out=tmp_path / "table", passes=1, reps=2,
        loads=1, networks=(8, 4, 6), max_minutes=0,
    )  # fmt: skip
    assert set(table.rows) == set(rows[1:])
    assert list(table.failed) == rows[:1]
    assert reason in table.failed[rows[0]]


def test_a_row_that_crashes_its_bundles_is_marked(
    fakephone: FakePhone, tmp_path: Path, measure: Callable[..., LatencyTable]
) -> None:
    """It and those that were beside it are measured by themselves."""
    row, *others = primitives_of(str(tmp_path / "net.tflite")).placements()
    table = measure("table", binary=install(tmp_path, faults={"crash": str(row)}))
    assert set(table.rows) == set(others)
    assert list(table.failed) == [row]
    assert "the runtime died of SIGABRT" in table.failed[row]
    whole = measure("whole", binary=install(tmp_path))
    assert all(each.median_ms == pytest.approx(whole.rows[other].median_ms) for other, each in table.rows.items())


def test_no_model_at_all_runs(measure: Callable[..., LatencyTable], tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    with pytest.raises((DeviceError, CheckError), match=re.escape("failed to prepare")):
        measure("table", binary=install(folder, faults={"refuse": "TFL3"}))
    assert not (tmp_path / "table.toml").exists()
