"""The transport to boards: the user's own `ssh`, with its configuration, keys and known hosts.

One connection is shared by all commands of a transport (ControlMaster) and closed with it. Nothing is needed on the
board but a POSIX shell, `tar`, `wc` and `cat`. A remote command lives no longer than the connection: its standard input
is a pipe to this process, and when that ends, for whatever reason, a watcher over there kills the command's group.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tarfile
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import IO

from mnas.devices import process
from mnas.devices.description import Device
from mnas.devices.transport import transfer_s, transports
from mnas.errors import ConfigError, DeviceError

_ADDRESS = re.compile(
    r"(?P<user>[A-Za-z0-9._-]+@)?(\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+))(:(?P<port>\d+))?"
)
"""Nothing that a shell reads otherwise, for ssh gives it to the commands of its configuration."""
_OPTIONS = {
    "BatchMode": "yes", "ConnectTimeout": "15", "ServerAliveInterval": "10", "ServerAliveCountMax": "3",
    "ControlMaster": "auto", "ControlPersist": "60", "ClearAllForwardings": "yes", "RemoteCommand": "none",
    "RequestTTY": "no", "LogLevel": "ERROR",
}  # fmt: skip
_LONGEST_FOLDER = 60
"""Characters; the path of a socket has 104 on some systems, and ssh appends 17 while it makes one."""

_BEGIN, _END, _LACKS = b"mnas:begins\n", b"mnas:ended ", b"mnas:lacks\n"
_WATCH = "exec 3<&0 </dev/null; { read -r end <&3; kill -KILL 0; } >/dev/null 2>&1 & "
"""Keeps standard input as descriptor 3, and kills the group when it ends."""
_RUN = (
    'command -v "$1" >/dev/null 2>&1 || { echo mnas:lacks >&2; exit 127; }; echo mnas:begins; echo mnas:begins >&2; '
    '"$@" 3<&-; code=$?; echo "mnas:ended $code" >&2; exit $code'
)
"""Marks where both outputs begin (start-up files may print, too) and tells the return code (ssh has one of its own)."""
_UNPACK = (
    'export LC_ALL=C; cd -- "$1" && shift && tar -xmf - && '
    'if [ $# = 1 ]; then wc -c <"$1"; else wc -c "$@" | tail -n 1; fi'
)
"""Takes files out of an archive and tells their size in all."""
_READ = 'export LC_ALL=C; wc -c <"$1" && cat -- "$1"'

_FAULTS = {
    "Could not resolve hostname": "its host is unknown: correct its address, or name it in ~/.ssh/config",
    "REMOTE HOST IDENTIFICATION HAS CHANGED": "its host key has changed: if it was installed anew, forget the old key "
    "(ssh-keygen -R); if not, something else may pose as it",
    "Host key verification failed": "its host key is not known: compare and accept it once, with: {ssh}",
    "Permission denied (": "it refuses the key: install yours there with ssh-copy-id, until this asks for no password: "
    "{ssh}",
    "Connection refused": "it answers, but no sshd does: start sshd there, or correct the port of its address",
    "timed out": "it does not answer: is it switched on, and in this network? try: {ssh}",
    "No route to host": "it does not answer: is it switched on, and in this network? try: {ssh}",
    "Network is unreachable": "it cannot be reached from this network; try: {ssh}",
}
"""What ssh says, and what to do about it."""
_FULL = ("No space left", "Wrote only", "quota exceeded")
"""What `tar` says of a full disk."""


@transports.register("ssh")
class SshTransport:
    """Runs commands on a board; the address is `[USER@]HOST[:PORT]` or a name in ~/.ssh/config.

    Raises:
        ConfigError: another address.
        DeviceError: there is no ssh here.
    """

    def __init__(self, device: Device) -> None:
        self._name = device.name
        found = _ADDRESS.fullmatch(device.address)
        if not found:
            raise ConfigError(
                f"device {device.name!r}: address must be USER@HOST, USER@HOST:PORT or a name in ~/.ssh/config, "
                f"got {device.address!r}"
            )
        if shutil.which("ssh") is None:
            raise DeviceError(f"device {device.name!r} is reached by ssh, which is not installed here: install OpenSSH")
        port = ["-p", found["port"]] if found["port"] else []
        where = [*port, (found["user"] or "") + (found["six"] or found["host"])]
        self._by_hand = shlex.join(["ssh", *where])
        parent = tempfile.gettempdir()
        folder = tempfile.mkdtemp(prefix="mnas.", dir=parent if len(parent) < _LONGEST_FOLDER else "/tmp")  # noqa: S108
        options = {**_OPTIONS, "ControlPath": f"{folder}/s".replace("%", "%%")}
        self._ssh = ["ssh", *(f"-o{key}={value}" for key, value in options.items()), *where]
        self._end = weakref.finalize(self, _disconnect, self._ssh, folder)

    def push(self, local: Path, remote: str) -> None:
        path = PurePosixPath(remote)
        self.push_all({path.name: local}, str(path.parent))

    def push_all(self, files: Mapping[str, Path], folder: str) -> None:
        if not files:
            return
        with tempfile.TemporaryFile(prefix="mnas.") as archive:
            size = self._pack(files, archive)
            argv = ["sh", "-c", _UNPACK, "mnas", folder, *(f"./{name}" for name in files)]
            code, out, err = self._call(_RUN, argv, transfer_s(size), archive)
        if code != 0:
            raise self._failed(f"cannot write into {folder}", err)
        if out.split()[:1] != [b"%d" % size]:
            arrived = process.text(out).strip()
            raise DeviceError(f"device {self._name!r}: {size} bytes were sent into {folder}, {arrived} arrived")

    def pull(self, remote: str, local: Path) -> None:
        code, out, err = self._watched(["sh", "-c", _READ, "mnas", remote], transfer_s())
        if code != 0:
            raise self._failed(f"cannot read {remote}", err)
        size, _, content = out.partition(b"\n")
        if size.strip() != b"%d" % len(content):
            raise DeviceError(f"device {self._name!r}: only {len(content)} bytes of {remote} arrived")
        try:
            local.write_bytes(content)
        except OSError as error:
            raise DeviceError(f"device {self._name!r}: cannot write {local}: {error.strerror}") from error

    def run(self, argv: Sequence[str], timeout_s: float) -> tuple[int, str, str]:
        code, out, err = self._watched(argv, timeout_s)
        return process.from_shell(code), process.text(out), err

    def _watched(self, argv: Sequence[str], timeout_s: float) -> tuple[int, bytes, str]:
        """Call a command that dies when this side lets go of its standard input."""
        read, write = os.pipe()
        try:
            return self._call(_WATCH + _RUN, argv, timeout_s, read)
        finally:
            os.close(write)
            os.close(read)

    def _call(
        self, script: str, argv: Sequence[str], timeout_s: float, stdin: int | IO[bytes]
    ) -> tuple[int, bytes, str]:
        """Run a command by one of the scripts above: its own return code, output and error output.

        Raises:
            DeviceError: no connection, it dropped, the time is up, or there is no such program.
        """
        line = shlex.join(["exec", "sh", "-c", script, "mnas", *argv])
        code, out, err = process.run_bytes([*self._ssh, line], timeout_s, name=self._name, program=argv[0], stdin=stdin)
        if _LACKS in err and _BEGIN not in out:
            raise DeviceError(
                f"device {self._name!r} has no program {argv[0]!r}: install it there; another Python is named by "
                "`python` in the device's file"
            )
        _, begun, output = out.partition(_BEGIN)
        errors, ended, told = err.rpartition(_BEGIN)[2].rpartition(_END)
        if not begun or not ended or told.strip() != b"%d" % code:
            raise self._broken(argv[0], bool(begun), process.text(err))
        return code, output, process.text(errors)

    def _pack(self, files: Mapping[str, Path], archive: IO[bytes]) -> int:
        """Write files into an archive; their size in all."""
        total = 0
        with tarfile.open(fileobj=archive, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for name, local in files.items():
                entry = tarfile.TarInfo(name)
                try:
                    with local.open("rb") as file:
                        entry.size = os.fstat(file.fileno()).st_size
                        tar.addfile(entry, file)
                except OSError as error:
                    raise DeviceError(f"device {self._name!r}: cannot send {local}: {error.strerror}") from error
                total += entry.size
        archive.seek(0)
        return total

    def _broken(self, program: str, begun: bool, err: str) -> DeviceError:
        """Say why there is no connection, or why it ended in the middle."""
        said = _last_line(err) or "it was closed"
        if begun:
            return DeviceError(
                f"device {self._name!r}: the connection dropped while {program!r} ran ({said}); is it on? then run the "
                "same command again"
            )
        for word, remedy in _FAULTS.items():
            if word in err:
                return DeviceError(f"device {self._name!r}: {remedy.format(ssh=self._by_hand)} ({said})")
        return DeviceError(f"device {self._name!r}: no connection ({said}); try: {self._by_hand}")

    def _failed(self, what: str, err: str) -> DeviceError:
        if any(word in err for word in _FULL):
            what += ": no space left; free some, or name another folder with `folder` in the device's file"
            return DeviceError(f"device {self._name!r} {what}, and run the same command again")
        return DeviceError(f"device {self._name!r} {what}: {''.join(err.splitlines()[:1])}")


def _last_line(text: str) -> str:
    return "".join(text.strip().splitlines()[-1:])


def _disconnect(ssh: Sequence[str], folder: str) -> None:
    """End the shared connection, if there is one, and remove its socket's folder."""
    with suppress(OSError, subprocess.SubprocessError):
        if any(Path(folder).iterdir()):
            end = [ssh[0], "-Oexit", *ssh[1:]]
            subprocess.run(end, stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False)
    shutil.rmtree(folder, ignore_errors=True)
