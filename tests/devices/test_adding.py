"""Describing a device by asking it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mnas.devices import Device, add_device, connect, device
from mnas.devices.adding import name_of, only_phone, sentence
from mnas.devices.phones import Phone
from mnas.errors import ConfigError, DeviceError
from tests.phones.furniture import furnish
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


@pytest.mark.adb
def test_several_phones_are_named(fakephone: FakePhone, tmp_path: Path) -> None:
    with FakePhone(tmp_path / "second") as second:
        furnish(second)
        plug_in(fakephone)
        plug_in(second)
        with pytest.raises(ConfigError, match=r"2 phones are plugged in; choose one:\n  mnas devices add fake-phone"):
            only_phone()
        second.state = "unauthorized"
        fakephone.state = "unauthorized"
        for phone in (second, fakephone):
            with pytest.raises(DeviceError, match="is unauthorized"):
                plug_in(phone)
        with pytest.raises(DeviceError, match=r"phone .* is unauthorized: unlock the phone"):
            only_phone()


@pytest.mark.adb
def test_what_the_user_chose_is_kept(fakephone: FakePhone, here: Path) -> None:
    chosen = Device("pixel", "adb", fakephone.serial, taskset="f", description="mine")
    path, written, told = add_device(chosen)
    assert (path, written) == (Path("devices/pixel.toml"), chosen)
    assert device("pixel") == chosen
    assert told["big_cores"] == "30"


@pytest.mark.adb
def test_an_emulator_is_marked(fakephone: FakePhone) -> None:
    assert not add_device(Device("pixel", "adb", fakephone.serial))[1].emulated
    fakephone.answer("getprop", "", "[ro.kernel.qemu]: [1]\n")
    assert add_device(Device("emulator", "adb", fakephone.serial))[1].emulated


@pytest.mark.adb
def test_no_mask_without_taskset(fakephone: FakePhone) -> None:
    (fakephone.root / "system/bin/taskset").unlink()
    assert add_device(Device("pixel", "adb", fakephone.serial))[1].taskset == ""


def test_names_and_sentences() -> None:
    assert name_of(Phone("R58M12", "device", "Pixel 6 Pro")) == "pixel-6-pro"
    assert name_of(Phone("192.168.1.7:5555", "device")) == "192-168-1-7-5555"
    assert name_of(Phone("????", "device")) == "phone"
    told = dict.fromkeys(("model", "soc", "clusters", "os"), "") | {"cpu_model": "AMD EPYC"}
    assert sentence(told) == "AMD EPYC"
