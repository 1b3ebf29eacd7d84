"""A device as its file and the command line describe it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mnas.devices import Device


def device_with(name: str, binary: str | None, max_temp_c: float | None) -> Device:
    """Find a device; what the command line says goes before what its file says.

    Raises:
        DeviceError: no such device.
        ConfigError: its file or a value is wrong.
    """
    from mnas.devices import device

    found = device(name)
    found = found if binary is None else replace(found, binary=binary)
    return found if max_temp_c is None else replace(found, max_temp_c=max_temp_c)
