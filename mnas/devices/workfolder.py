"""A private folder on a device for one piece of work."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mnas.devices.description import Device
from mnas.devices.transport import Transport
from mnas.errors import DeviceError

_COMMAND_S = 60.0
"""Seconds that a small command may take on a device."""
_PARENTS = {"adb": "/data/local/tmp"}
"""Where a transport's devices have such folders, if not where `mktemp` makes them."""
_SWEEP = 'find "$1" -maxdepth 1 -type d -user "$(id -u)" -name \'mnas.????????\' -mtime +0 -exec rm -rf -- {} +'


@contextmanager
def work_folder(transport: Transport, device: Device) -> Iterator[str]:
    """Make a folder on the device, in its `folder` if it names one, that goes away afterwards, even after failures.

    What was left beside it by processes that were killed goes once it is a day old.

    Raises:
        DeviceError: it cannot be made.
    """
    parent = device.folder or _PARENTS.get(device.transport, "")
    where = [f"{parent}/mnas.XXXXXXXX"] if parent else ["-t", "mnas.XXXXXXXX"]
    code, out, err = transport.run(["mktemp", "-d", *where], _COMMAND_S)
    if code != 0:
        raise DeviceError(
            f"device {device.name!r} cannot make a temporary folder: {err.strip()}; free some space, or name a folder "
            "that can be written with `folder` in the device's file"
        )
    path = out.strip()
    with suppress(DeviceError):
        transport.run(["sh", "-c", _SWEEP, "sh", posixpath.dirname(path)], _COMMAND_S)
    try:
        yield path
    finally:
        with suppress(DeviceError):
            transport.run(["rm", "-rf", "--", path], _COMMAND_S)
