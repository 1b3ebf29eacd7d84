"""The transport to phones: the real adb client against a phone of the tests' own."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from mnas.devices import Device, Transport, connect, facts, temperature
from mnas.errors import ConfigError, DeviceError
from tests.devices.processes import ends
from tests.phones.faults import Action, Point
from tests.phones.furniture import heat
from tests.phones.phone import FakePhone, State

pytestmark = pytest.mark.adb
TMP = "/data/local/tmp"
NASTY = (
    "a b",
    "it's",
    '"',
    "$HOME",
    "`id`",
    "$(id)",
    "; exit 3",
    "a\nb",
    "*",
    "\\",
    "é",
    "-n",
    "",
    "~",
    "&& x",
    "#",
    "%s",
)


def way(phone: FakePhone) -> Transport:
    return connect(Device("pixel", "adb", phone.serial))


@pytest.fixture(params=["v2", "v1"])
def anyphone(request: pytest.FixtureRequest, fakephone: FakePhone) -> FakePhone:
    """A phone with shell protocol 2, and one without."""
    if request.param == "v1":
        fakephone.features = "cmd"
    return fakephone


def test_run_gives_code_and_output(anyphone: FakePhone) -> None:
    transport = way(anyphone)
    assert transport.run(["sh", "-c", "echo é; exit 5"], 30) == (5, "é\n", "")
    assert transport.run(["printf", "no line end"], 30) == (0, "no line end", "")
    assert transport.run(["sh", "-c", "kill -9 $$"], 30)[0] == -signal.SIGKILL
    assert transport.run(["sh", "-c", "exit 255"], 30)[0] == 255
    assert transport.run(["cat"], 30) == (0, "", "")


def test_errors_are_apart_where_the_phone_can(fakephone: FakePhone) -> None:
    assert way(fakephone).run(["sh", "-c", "echo out; echo err >&2"], 30) == (0, "out\n", "err\n")
    fakephone.features = "cmd"
    connect_anew(fakephone)
    assert way(fakephone).run(["sh", "-c", "echo out; echo err >&2"], 30) == (0, "out\nerr\n", "")


def connect_anew(phone: FakePhone) -> None:
    phone.unplug()
    phone.plug_in()


def test_nasty_arguments_arrive_as_they_are(anyphone: FakePhone) -> None:
    code, out, _ = way(anyphone).run(["printf", "%s|", *NASTY], 30)
    assert (code, out) == (0, "".join(f"{each}|" for each in NASTY))


def test_nasty_names_are_pushed_and_pulled(anyphone: FakePhone, tmp_path: Path) -> None:
    transport = way(anyphone)
    names = [name for name in NASTY if name]
    for name in names:
        (tmp_path / f"{name}.bin").write_bytes(name.encode() + b"\x00\r\n")
    transport.push_all({name: tmp_path / f"{name}.bin" for name in names}, TMP)
    assert sorted(each.name for each in anyphone.file(TMP).iterdir()) == sorted(names)
    for i, name in enumerate(names):
        transport.push(tmp_path / f"{name}.bin", f"{TMP}/{name}")
        transport.pull(f"{TMP}/{name}", tmp_path / str(i))
        assert (tmp_path / str(i)).read_bytes() == name.encode() + b"\x00\r\n"
    transport.push_all({}, TMP)


@pytest.mark.slow
def test_many_files_go_in_one_transfer(fakephone: FakePhone, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"x" * 1000)
    transport = way(fakephone)
    transport.push_all({f"{'long' * 20}{i}.tflite": tmp_path / "model" for i in range(900)}, TMP)
    assert len(list(fakephone.file(TMP).iterdir())) == 900
    assert sum(service.startswith("sync") for service in fakephone.log) == 1


def test_big_file_comes_back(fakephone: FakePhone, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(os.urandom(12_000_000))
    transport = way(fakephone)
    transport.push(tmp_path / "big", f"{TMP}/big")
    transport.pull(f"{TMP}/big", tmp_path / "back")
    assert (tmp_path / "big").read_bytes() == (tmp_path / "back").read_bytes()
    code, out, _ = transport.run(["cat", f"{TMP}/big"], 60)
    assert code == 0
    assert len(out) > 1_000_000


def test_an_executable_stays_one(fakephone: FakePhone, tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("#!/bin/sh\necho ran in $TMPDIR\n")
    (tmp_path / "tool").chmod(0o755)
    transport = way(fakephone)
    transport.push(tmp_path / "tool", f"{TMP}/tool")
    assert transport.run([f"{TMP}/tool"], 30) == (0, f"ran in {TMP}\n", "")


def test_what_is_missing_is_named(fakephone: FakePhone, tmp_path: Path) -> None:
    transport = way(fakephone)
    with pytest.raises(DeviceError, match="'pixel' has no program 'no-such-program'"):
        transport.run(["no-such-program", "x"], 30)
    with pytest.raises(DeviceError, match=r"cannot copy .*gone to .*x: there is no such file"):
        transport.pull(f"{TMP}/gone", tmp_path / "x")
    with pytest.raises(DeviceError, match=r"cannot copy .*gone.*No such file"):
        transport.push(tmp_path / "gone", f"{TMP}/x")
    with pytest.raises(DeviceError, match=r"cannot copy .*Permission denied"):
        transport.push(Path(__file__), "/system/bin/x")
    assert not (tmp_path / "x").exists()


def test_a_shell_that_is_killed_is_told_as_its_command(fakephone: FakePhone) -> None:
    transport = way(fakephone)
    fakephone.fail("running", "kill", match="sleep 5")
    assert transport.run(["sh", "-c", "sleep 5"], 30)[0] == -signal.SIGKILL


def test_timeout_kills_the_command_over_there(anyphone: FakePhone) -> None:
    transport = way(anyphone)
    with pytest.raises(DeviceError, match=r"'pixel': 'sh' took more than 1 s"):
        transport.run(["sh", "-c", f"sleep 60 & echo $! >{TMP}/pid; wait"], 1)
    assert ends(int((anyphone.file(TMP) / "pid").read_text()))


def test_no_process_is_left(anyphone: FakePhone) -> None:
    way(anyphone).run(["true"], 30)
    for _ in range(100):
        if not anyphone.running:
            return
        time.sleep(0.05)
    raise AssertionError(anyphone.running)


@pytest.mark.parametrize("action", ["drop", "unplug", "reboot"])
def test_vanishing_in_the_middle_of_a_command(fakephone: FakePhone, action: Action) -> None:
    transport = way(fakephone)
    fakephone.fail("running", action, match="sleep 5")
    with pytest.raises(DeviceError, match=r"vanished while running 'sh' .*Run the same command again: it goes on"):
        transport.run(["sh", "-c", "echo wrong; sleep 5"], 30)
    if action == "unplug":
        fakephone.plug_in()
    assert way(fakephone).run(["echo", "back"], 30) == (0, "back\n", "")


@pytest.mark.parametrize("point", ["push", "pushing", "pushed"])
def test_vanishing_while_a_file_is_sent(fakephone: FakePhone, tmp_path: Path, point: Point) -> None:
    transport = way(fakephone)
    (tmp_path / "a").write_bytes(bytes(1_000_000))
    fakephone.fail(point, "unplug")
    with pytest.raises(DeviceError, match=r"vanished while copying .*goes on where it stopped"):
        transport.push(tmp_path / "a", f"{TMP}/a")


@pytest.mark.parametrize("point", ["pull", "pulling", "pulled"])
def test_vanishing_while_a_file_is_fetched(fakephone: FakePhone, tmp_path: Path, point: Point) -> None:
    transport = way(fakephone)
    (fakephone.file(TMP) / "a").write_bytes(bytes(1_000_000))
    fakephone.fail(point, "unplug")
    with pytest.raises(DeviceError, match=r"vanished while copying .*goes on where it stopped"):
        transport.pull(f"{TMP}/a", tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["phone"]


def test_a_command_that_ended_counts_although_the_phone_vanished_then(fakephone: FakePhone) -> None:
    transport = way(fakephone)
    fakephone.fail("ran", "unplug", match="echo")
    assert transport.run(["echo", "done"], 30) == (0, "done\n", "")


def test_a_phone_that_hangs_is_given_up(fakephone: FakePhone) -> None:
    transport = way(fakephone)
    fakephone.fail("run", "hang", match="echo")
    with pytest.raises(DeviceError, match="'echo' took more than 1 s"):
        transport.run(["echo", "hi"], 1)
    assert transport.run(["echo", "hi"], 30)[0] == 0


def test_no_space_left_is_said(fakephone: FakePhone) -> None:
    transport = way(fakephone)
    fakephone.fail("push", "full")
    with pytest.raises(DeviceError, match=r"no space left there; .*df -h"):
        transport.push(Path(__file__), f"{TMP}/x")


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("unauthorized", "is unauthorized: unlock the phone and accept its prompt"),
        pytest.param("offline", "is offline: it does not answer", marks=pytest.mark.slow),
    ],
)
def test_a_phone_that_is_not_ready(fakephone: FakePhone, state: State, message: str) -> None:
    fakephone.state = state
    with pytest.raises(DeviceError, match=message):
        way(fakephone)
    fakephone.state = "device"
    assert way(fakephone).run(["true"], 30)[0] == 0


def test_a_phone_that_is_not_there(fakephone: FakePhone) -> None:
    fakephone.unplug()
    with pytest.raises(DeviceError, match=r"failed to connect to .*Connection refused.*adb tcpip 5555"):
        way(fakephone)
    with pytest.raises(DeviceError, match=r"phone R58M12 is absent: .*USB debugging"):
        connect(Device("pixel", "adb", "R58M12"))
    with pytest.raises(ConfigError, match="address must be the serial of a phone"):
        connect(Device("pixel", "adb"))


def test_no_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("ADB", raising=False)
    with pytest.raises(DeviceError, match="no adb on the path: install it"):
        connect(Device("pixel", "adb", "R58M12"))
    monkeypatch.setenv("ADB", str(tmp_path / "gone"))
    with pytest.raises(DeviceError, match=r"\$ADB names .*gone"):
        connect(Device("pixel", "adb", "R58M12"))


def test_the_client_that_adb_names(fakephone: FakePhone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "myadb").symlink_to(shutil.which("adb") or "")
    monkeypatch.setenv("ADB", str(tmp_path / "myadb"))
    assert way(fakephone).run(["true"], 30)[0] == 0


def test_facts_of_a_phone(anyphone: FakePhone) -> None:
    assert facts(Device("pixel", "adb", anyphone.serial)) == {
        "status": "ready",
        "cpu_model": "2x Cortex-X1 + 4x Cortex-A55",
        "machine": "aarch64",
        "cores": "6",
        "clusters": "2x Cortex-X1 2.80 GHz + 4x Cortex-A55 1.80 GHz",
        "big_cores": "30",
        "taskset": "yes",
        "l2_kib": "",
        "l3_kib": "",
        "governor": "sched_pixel",
        "memory_mib": "7582",
        "load_average": "3.10 2.90 2.70",
        "soc": "Makers MS100",
        "model": "Maker Fake Phone",
        "abi": "arm64-v8a",
        "system": "Linux",
        "release": "5.10.107-android13",
        "os": "Android 13 (API 33)",
        "emulator": "",
        "battery_percent": "84",
        "battery_c": "27.4",
        "python": "",
        "wheels": "",
        "temperature_c": "31.2",
        "throttling": "0",
    }


def test_temperature_of_a_phone(fakephone: FakePhone) -> None:
    transport = way(fakephone)
    assert temperature(transport) == (31.2, 0)
    heat(fakephone, 44.5, throttling=2)
    assert temperature(transport) == (44.5, 2)
    told = facts(Device("pixel", "adb", fakephone.serial), before=temperature(transport))
    assert (told["temperature_before_c"], told["temperature_after_c"], told["throttling"]) == ("44.5", "44.5", "2")
    assert "temperature_c" not in told
