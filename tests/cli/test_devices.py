"""`mnas devices` and `mnas devices add`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mnas.cli.app import run as mnas
from mnas.devices import Device, connect, device
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


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert mnas(["devices", "--help"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"Example:\n +mnas devices\n", shown)
    assert all(word in shown for word in ("--json", "add "))


def test_keys_that_scripts_rely_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert mnas(["devices", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "mnas.devices/1"
    assert {"name", "transport", "processor", "cores", "abi", "status"} <= set(document["devices"][0])
    assert {"soc", "clusters", "os", "address", "described", "todo"} <= set(document["devices"][0])


def test_the_list_for_people(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "pixel.toml").write_text("transport = 'adb'\naddress = 'R58M12'")
    assert mnas(["devices"]) == 0
    shown = capsys.readouterr().out
    assert "no adb" in shown
    assert "pixel: $ADB names" in shown


@pytest.mark.adb
def test_the_only_phone_is_added(fakephone: FakePhone, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mnas(["devices", "add"]) == 3
    assert "there is no phone: adb does not see it: plug it in" in capsys.readouterr().err
    plug_in(fakephone)
    assert mnas(["devices", "add", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "mnas.devices.add/1"
    assert (document["file"], document["taskset"], document["status"]) == ("devices/fake-phone.toml", "30", "ready")
    assert device("fake-phone") == Device(
        "fake-phone",
        "adb",
        fakephone.serial,
        taskset="30",
        description="Maker Fake Phone, Makers MS100, 2x Cortex-X1 2.80 GHz + 4x Cortex-A55 1.80 GHz, "
        "Android 13 (API 33)",
    )
    assert mnas(["devices", "add"]) == 3
    assert f"described already: {fakephone.serial} (fake-phone)" in capsys.readouterr().err


@pytest.mark.adb
def test_a_file_is_not_written_over(fakephone: FakePhone, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["devices", "add", "pixel", "--transport", "adb", "--address", fakephone.serial, "--binary", "bm"]
    (here / "pixel.toml").write_text("taskset = 'f'")
    assert mnas(arguments) == 2
    assert "devices/pixel.toml is there already" in capsys.readouterr().err
    assert mnas([*arguments, "--force"]) == 0
    assert "runs on the big cores, mask 30" in capsys.readouterr().out
    assert device("pixel").binary == "bm"


def test_add_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert mnas(["devices", "add", "pi", "--address", "pi@board"]) == 2
    assert "--address needs --transport" in capsys.readouterr().err
    assert mnas(["devices", "add", "--transport", "ssh", "--address", "pi@board"]) == 2
    assert "give the device a name" in capsys.readouterr().err
    assert mnas(["devices", "add", "../x", "--transport", "local"]) == 2
    assert "a device's name is" in capsys.readouterr().err
    assert mnas(["devices", "add"]) == 3
    assert "$ADB names" in capsys.readouterr().err


def test_this_host_can_be_described_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert mnas(["devices", "add", "host", "--transport", "local"]) == 0
    assert "ready: use it with --device host" in capsys.readouterr().out
    assert device("host").description
