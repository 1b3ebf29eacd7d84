"""Transports: how files and commands get to a device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from mnas.devices.description import Device
from mnas.registry import Registry


class Transport(Protocol):
    """A way to one device; paths on the device are text in the device's own spelling."""

    def push(self, local: Path, remote: str) -> None:
        """Copy a file to the device; the folder of `remote` exists. It is there whole, or an error says why not.

        Raises:
            DeviceError: the file cannot be read here or written there.
        """
        ...

    def push_all(self, files: Mapping[str, Path], folder: str) -> None:
        """Copy files, by the names they get, into a folder that exists on the device: in one transfer if it can be.

        Raises:
            DeviceError: a file cannot be read here or written there.
        """
        ...

    def pull(self, remote: str, local: Path) -> None:
        """Copy a file from the device.

        Raises:
            DeviceError: the file cannot be read there or written here.
        """
        ...

    def run(self, argv: Sequence[str], timeout_s: float) -> tuple[int, str, str]:
        """Run a command without input; its return code (minus the signal that ended it), output and error output.

        Raises:
            DeviceError: the device or the program is missing, or the time is up (the command is then dead).
        """
        ...


def transfer_s(size: int = 0) -> float:
    """Seconds that copying so many bytes may take."""
    return 120.0 + size / 100_000


transports: Registry[Callable[[Device], Transport]] = Registry(
    "transport", ("mnas.devices.local", "mnas.devices.ssh", "mnas.devices.adb")
)


def connect(device: Device) -> Transport:
    """Open the way to a device.

    Raises:
        UnknownNameError: the device names an unknown transport.
        DeviceError: the device does not answer.
    """
    return transports[device.transport](device)
