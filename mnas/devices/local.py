"""The transport to this machine: copies and subprocesses."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

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

    def pull(self, remote: str, local: Path) -> None:
        self._copy(Path(remote), local)

    def run(self, argv: Sequence[str], timeout_s: float) -> tuple[int, str, str]:
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise DeviceError(f"device {self._name!r} cannot run {argv[0]!r}: {error.strerror}") from error
        with process:
            try:
                out, err = process.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired as error:
                _kill(process)
                raise DeviceError(f"device {self._name!r}: {argv[0]!r} took more than {timeout_s:.3g} s") from error
            except BaseException:  # an interrupt must not leave the group running
                _kill(process)
                raise
        return process.returncode, out, err

    def _copy(self, source: Path, target: Path) -> None:
        try:
            shutil.copyfile(source, target)
        except OSError as error:
            raise DeviceError(f"device {self._name!r}: cannot copy {source} to {target}: {error.strerror}") from error


def _kill(process: subprocess.Popen[str]) -> None:
    """End the whole group of a process."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
