"""The transport to this machine: copies and subprocesses."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from mnas.devices import process
from mnas.devices.description import Device
from mnas.devices.transport import transports
from mnas.errors import DeviceError


@transports.register("local")
class LocalTransport:
    """Runs commands here, each as the leader of its own process group."""

    def __init__(self, device: Device) -> None:
        self._name = device.name

    def push(self, local: Path, remote: str) -> None:
        self._copy(local, Path(remote))

    def push_all(self, files: Mapping[str, Path], folder: str) -> None:
        for name, local in files.items():
            self.push(local, f"{folder}/{name}")

    def pull(self, remote: str, local: Path) -> None:
        self._copy(Path(remote), local)

    def run(self, argv: Sequence[str], timeout_s: float) -> tuple[int, str, str]:
        return process.run(argv, timeout_s, name=self._name)

    def _copy(self, source: Path, target: Path) -> None:
        try:
            shutil.copyfile(source, target)
        except OSError as error:
            raise DeviceError(f"device {self._name!r}: cannot copy {source} to {target}: {error.strerror}") from error
