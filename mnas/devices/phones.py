"""Phones that the adb client sees, the states they are in, and what to do about each."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from typing import NamedTuple

from mnas.devices import process
from mnas.errors import DeviceError

_LINE = re.compile(r"(\(no serial number\)|\S+)\s+(no permissions[^\[]*(?:\[[^\]]*\])?|\S+)((?:\s+\w+:\S*)*)\s*")
_NETWORK = re.compile(r"(\[[\w:.%]+\]|[^\s:\[\]]+):\d{1,5}")
_LIST_S = 30.0
"""Seconds for a list; the client may have to start its server first."""

_UNPLUG = "unplug it and plug it in again"
ADVICE = {
    "unauthorized": "unlock the phone and accept its prompt 'Allow USB debugging?'; if there is none, revoke the "
    f"authorisations in its developer options and {_UNPLUG}",
    "authorizing": "unlock the phone and accept its prompt 'Allow USB debugging?'",
    "offline": f"it does not answer: {_UNPLUG}, or run: adb reconnect offline",
    "connecting": "it is just coming up: try again in a few seconds",
    "no permissions": "this user may not open the USB port: install the udev rules (Debian: apt-get install "
    f"android-sdk-platform-tools-common), join the group plugdev, {_UNPLUG}, and run: adb kill-server",
    "bootloader": "it is in its bootloader: start Android with: fastboot reboot",
    "recovery": "it is in recovery: start Android with: adb reboot",
    "sideload": "it waits for an update: start Android with: adb reboot",
    "rescue": "it is in rescue mode: start Android with: adb reboot",
    "absent": "adb does not see it: plug it in with USB debugging on (Settings > Developer options), and look for its "
    "serial in: adb devices",
}
"""What to do about a phone that is not ready, by its state."""


class Phone(NamedTuple):
    """A phone as the adb client lists it.

    Attributes:
        serial: its serial number, or `host:port` of a connection.
        state: "device" when ready, else a key of `ADVICE` or a newer word of adb's.
        model: the product's name if it told one.
    """

    serial: str
    state: str
    model: str = ""

    @property
    def advice(self) -> str:
        """What to do so that it becomes ready; empty if it is."""
        return "" if self.state == "device" else ADVICE.get(self.state, f"adb says {self.state!r}: {_UNPLUG}")

    @property
    def connectable(self) -> bool:
        """Whether `adb connect` may bring it back."""
        return self.state in ("absent", "offline") and bool(_NETWORK.fullmatch(self.serial))


def client() -> str:
    """The adb client: the file that $ADB names, else the one on the path.

    Raises:
        DeviceError: there is none; the message says how to get it.
    """
    wanted = os.environ.get("ADB") or "adb"
    found = shutil.which(wanted)
    if found is None:
        where = f"$ADB names {wanted!r}, which cannot be run" if os.environ.get("ADB") else "no adb on the path"
        raise DeviceError(
            f"{where}: install it (Debian and Ubuntu: apt-get install adb; macOS: brew install "
            "android-platform-tools; else Google's SDK Platform-Tools), or let $ADB name it"
        )
    return found


def phones() -> list[Phone]:
    """Every phone that adb sees, ready or not.

    Raises:
        DeviceError: adb is missing or does not answer.
    """
    code, out, err = process.run([client(), "devices", "-l"], _LIST_S, name="adb")
    if code != 0:
        raise DeviceError(f"adb cannot list phones: {' '.join((err or out).split())}; try: adb kill-server")
    return parse_phones(out)


def find_phone(serial: str, listed: Iterable[Phone]) -> Phone:
    """The phone of a serial; "absent" if it is not listed."""
    return next((phone for phone in listed if phone.serial == serial), Phone(serial, "absent"))


def parse_phones(listed: str) -> list[Phone]:
    """Read what `adb devices -l` prints."""
    found = []
    for line in listed.splitlines():
        if line.startswith(("List of devices", "*", "adb server")):
            continue
        if match := _LINE.fullmatch(line):
            serial, state, words = match.groups()
            told = dict(word.split(":", 1) for word in words.split())
            state = "no permissions" if state.startswith("no permissions") else state
            found.append(Phone(serial, state, told.get("model", "").replace("_", " ")))
    return found
