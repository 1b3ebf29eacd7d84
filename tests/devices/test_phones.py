from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnas.devices.phones import ADVICE, Phone, find_phone, parse_phones, phones
from mnas.errors import DeviceError
from tests.phones.phone import FakePhone

LISTED = """* daemon not running; starting now at tcp:5037
* daemon started successfully
List of devices attached
0123456789ABCDEF       device usb:1-4 product:oriole model:Pixel_6 device:oriole transport_id:3
R58M12                 unauthorized usb:1-2 transport_id:4
192.168.1.7:5555       offline product:x model:Old_Phone device:x transport_id:1
emulator-5554          device
????????????           no permissions (user in plugdev group; are your udev rules wrong?); see [http://developer.android.com/tools/device.html] usb:1-1 transport_id:2
(no serial number)     no permissions
FA69                   bootloader usb:1-9
Z9                     authorizing transport_id:9
"""  # noqa: E501


def test_every_state_is_read() -> None:
    assert parse_phones(LISTED) == [
        Phone("0123456789ABCDEF", "device", "Pixel 6"),
        Phone("R58M12", "unauthorized"),
        Phone("192.168.1.7:5555", "offline", "Old Phone"),
        Phone("emulator-5554", "device"),
        Phone("????????????", "no permissions"),
        Phone("(no serial number)", "no permissions"),
        Phone("FA69", "bootloader"),
        Phone("Z9", "authorizing"),
    ]


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ("unauthorized", "accept its prompt"),
        ("authorizing", "accept its prompt"),
        ("offline", "unplug it"),
        ("connecting", "try again"),
        ("no permissions", "udev"),
        ("bootloader", "fastboot reboot"),
        ("recovery", "adb reboot"),
        ("absent", "USB debugging"),
        ("something new", "adb says 'something new'"),
    ],
)
def test_every_state_has_advice(state: str, word: str) -> None:
    advice = Phone("x", state).advice
    assert word in advice
    assert "\n" not in advice


def test_a_ready_phone_needs_no_advice() -> None:
    assert Phone("x", "device").advice == ""
    assert "device" not in ADVICE


def test_only_addresses_on_the_network_are_connected() -> None:
    assert find_phone("pixel.local:5555", parse_phones(LISTED)).connectable
    assert find_phone("192.168.1.7:5555", parse_phones(LISTED)).connectable
    assert find_phone("[fe80::1%eth0]:5555", []).connectable
    assert not find_phone("R58M12", []).connectable
    assert not Phone("192.168.1.7:5555", "unauthorized").connectable


@given(st.text() | st.text("device offline\t:()[]?\n model:x no permissions"))
def test_any_text_is_taken(text: str) -> None:
    assert all(phone.serial and phone.state for phone in parse_phones(text))


def test_a_client_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "adb"
    broken.write_text("#!/bin/sh\necho 'error: cannot bind to port' >&2\nexit 1\n")
    broken.chmod(stat.S_IRWXU)
    monkeypatch.setenv("ADB", str(broken))
    with pytest.raises(DeviceError, match="cannot list phones: error: cannot bind to port; try: adb kill-server"):
        phones()


@pytest.mark.adb
def test_the_real_list(fakephone: FakePhone, adb: str) -> None:
    from mnas.devices.process import run

    assert phones() == []
    run([adb, "connect", fakephone.serial], 30, name="x")
    assert phones() == [Phone(fakephone.serial, "device", "Fake Phone")]
