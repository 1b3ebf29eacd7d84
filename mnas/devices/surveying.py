"""Looking around: every device that is described or plugged in, how it is, and what to do about it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from mnas.devices.description import Device, described
from mnas.devices.phones import Phone, find_phone, phones
from mnas.devices.probing import facts
from mnas.errors import DeviceError, MnasError

_PROBE_S = 20.0
"""Seconds that each device may take; they are asked at the same time."""
_AT_ONCE = 16


class Seen(NamedTuple):
    """A device and how it is.

    Attributes:
        name: its name, or the serial of a phone that no file describes.
        transport: how it is reached; empty if its file cannot be read.
        address: where it is.
        described: whether a file describes it.
        status: "ready"; a phone's state such as "unauthorized"; "unreachable", "no adb", "no python", "no runtime" or
            "wrong file".
        todo: what to do, one line; empty if nothing.
        facts: what it told, as `facts` gives it; empty if it could not be asked.
    """

    name: str
    transport: str
    address: str
    described: bool
    status: str
    todo: str = ""
    facts: Mapping[str, str] = {}


def survey(timeout_s: float = _PROBE_S) -> list[Seen]:
    """Look at every described device, and at the phones that adb sees beside them.

    One that is broken is listed as such and keeps none of the others out.
    """
    listed, no_adb = _phones()
    devices, unreadable = described()
    wrong = [Seen(name, "", "", True, "wrong file", why) for name, why in unreadable.items()]
    found = [phone for phone in listed if phone.serial not in {each.address for each in devices}]

    def known(each: Device) -> Seen:
        seen = Seen(each.name, each.transport, each.address, True, "ready")
        return _ask(seen, each, find_phone(each.address, listed), no_adb, timeout_s)

    def plugged(phone: Phone) -> Seen:
        seen = Seen(phone.serial, "adb", phone.serial, False, "ready")
        asked = _ask(seen, Device("phone", "adb", phone.serial), phone, no_adb, timeout_s)
        hint = f"describe it: mnas devices add NAME --transport adb --address {shlex.quote(phone.serial)}"
        return asked._replace(todo=asked.todo or hint)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        asked, new = pool.map(known, devices), pool.map(plugged, found)
        return sorted([*asked, *wrong], key=lambda seen: seen.name) + list(new)


def readiness(each: Device, told: Mapping[str, str]) -> tuple[str, str]:
    """Status of a device that answered, and what to do: a board needs a Python with a runtime."""
    if each.transport == "adb":
        return told["status"], ""
    if not told["python"]:
        return "no python", f"install Python there, or say which one in its file: {each.interpreter!r} does not run"
    if not any(wheel in told["wheels"] for wheel in ("ai-edge-litert", "onnxruntime")):
        return "no runtime", f"install one there: {each.interpreter} -m pip install ai-edge-litert onnxruntime"
    return told["status"], ""


def _phones() -> tuple[list[Phone], str]:
    """The phones that adb sees, and why it sees none if it cannot look."""
    try:
        return phones(), ""
    except DeviceError as error:
        return [], str(error)


def _ask(seen: Seen, each: Device, phone: Phone, no_adb: str, timeout_s: float) -> Seen:
    """Ask a device; a phone that is not ready is not asked."""
    if each.transport == "adb" and no_adb:
        return seen._replace(status="no adb", todo=no_adb)
    if each.transport == "adb" and phone.advice and not phone.connectable:
        return seen._replace(status=phone.state, todo=phone.advice)
    try:
        told = facts(each, timeout_s=timeout_s)
    except MnasError as error:
        return seen._replace(status="unreachable", todo=str(error))
    status, todo = readiness(each, told)
    return seen._replace(status=status, todo=todo, facts=told)
