"""Describing a device by asking it: what its file will say."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from mnas.devices.description import Device, described
from mnas.devices.phones import ADVICE, Phone, phones
from mnas.devices.probing import facts
from mnas.errors import ConfigError, DeviceError
from mnas.files import write_text


def add_device(each: Device, *, force: bool = False) -> tuple[Path, Device, dict[str, str]]:
    """Write the file of a device into `./devices`, with the mask of its big cores and a description if it lacks them.

    Android's emulator is marked as one.

    Args:
        each: the device.
        force: whether to write over a file that is there.

    Returns:
        The file, what it says, and what the device told (see `facts`).

    Raises:
        ConfigError: the file is there.
        DeviceError: the device does not answer.
    """
    path = Path("devices") / f"{each.name}.toml"
    if path.exists() and not force:
        raise ConfigError(f"{path} is there already: change it by hand, or write over it with --force")
    told = facts(each)
    whole = replace(
        each,
        taskset=each.taskset or (told["big_cores"] if told["taskset"] else ""),
        description=each.description or sentence(told),
        emulated=each.emulated or bool(told["emulator"]),
    )
    write_text(path, whole.to_toml())
    return path, whole, told


def sentence(told: Mapping[str, str]) -> str:
    """Describe a device by its facts: "Google Pixel 6, Google Tensor, 2x Cortex-X1 2.80 GHz + ..., Android 13"."""
    words = (told["model"], told["soc"] or told["cpu_model"], told["clusters"], told["os"])
    return ", ".join(dict.fromkeys(word for word in words if word))


def only_phone() -> Phone:
    """The phone that is plugged in and not described yet.

    Raises:
        DeviceError: there is none, or none is ready; the message says what to do.
        ConfigError: there are several; the message has a command for each.
    """
    listed = phones()
    known = {each.address: each.name for each in described()[0] if each.transport == "adb"}
    new = [phone for phone in listed if phone.serial not in known]
    ready = [phone for phone in new if not phone.advice]
    if len(ready) == 1:
        return ready[0]
    if ready:
        commands = "\n  ".join(_command(phone) for phone in ready)
        raise ConfigError(f"{len(ready)} phones are plugged in; choose one:\n  {commands}")
    if new:
        raise DeviceError("\n".join(f"phone {phone.serial} is {phone.state}: {phone.advice}" for phone in new))
    if listed:
        names = ", ".join(f"{phone.serial} ({known[phone.serial]})" for phone in listed)
        raise DeviceError(f"every phone that adb sees is described already: {names}")
    raise DeviceError(f"there is no phone: {ADVICE['absent']}; a board needs --transport ssh --address USER@HOST")


def name_of(phone: Phone) -> str:
    """A name for a phone: its model's or serial's, such as "pixel-6"."""
    words = re.findall(r"[a-z0-9]+", (phone.model or phone.serial).lower())
    return "-".join(words) or "phone"


def _command(phone: Phone) -> str:
    return f"mnas devices add {name_of(phone)} --transport adb --address {shlex.quote(phone.serial)}"
