"""The transport to phones: the user's own adb client.

Nothing is needed on the phone but its shell. A remote command lives no longer than the connection: when its standard
input ends, for whatever reason, a watcher over there kills the command's group. The return code comes with a mark at
the end of the output, because adb's own does not tell a command that ended from a connection that broke, and is always
0 before shell protocol 2 (Android 7).
"""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import DEVNULL
from typing import IO
from uuid import uuid4

from mnas.devices import process
from mnas.devices.description import Device
from mnas.devices.phones import Phone, client, find_phone, phones
from mnas.devices.transport import transfer_s, transports
from mnas.errors import ConfigError, DeviceError

_SMALL_S = 30.0
"""Seconds for a command of adb that only asks."""
_AT_ONCE = 200
"""Files that one command names; adb takes 64 KB of it."""
_RUN = (
    "exec 3<&0 </dev/null; { read -r end <&3; kill -KILL 0; } >/dev/null 2>&1 & watcher=$!; exec 3<&-; "
    'set -- %s; if command -v "$1" >/dev/null 2>&1; then "$@"; code=$?; else code=lacks; fi; '
    'kill -KILL "$watcher" 2>/dev/null; echo %s"$code"'
)
"""Keeps standard input for the watcher only: a copy of it that outlives the command would keep adb waiting."""
_SIZES = 'for file in "$@"; do wc -c <"$file"; done'


@transports.register("adb")
class AdbTransport:
    """Runs commands on a phone; the address is its serial, or `HOST:PORT`, which is connected on demand.

    A phone without shell protocol 2 gives its error output among its output.

    Raises:
        ConfigError: no address.
        DeviceError: there is no adb, or the phone is not ready; the message says what to do.
    """

    def __init__(self, device: Device) -> None:
        self._name, self._serial = device.name, device.address
        if not self._serial:
            seen = ", ".join(phone.serial for phone in phones()) or "none"
            raise ConfigError(
                f"device {self._name!r}: address must be the serial of a phone or HOST:PORT; adb sees: {seen}"
            )
        self._mark = f"mnas:{uuid4().hex[:12]}:"
        self._reach()
        code, features, _ = self._adb(_SMALL_S, "features")
        self._shell = "shell" if code == 0 and "shell_v2" in features.split() else "exec-out"

    def push(self, local: Path, remote: str) -> None:
        self._push([local], remote, [remote])

    def push_all(self, files: Mapping[str, Path], folder: str) -> None:
        with tempfile.TemporaryDirectory(prefix="mnas.") as staged:
            for name, local in files.items():
                (Path(staged) / name).symlink_to(local.absolute())
            self._push([Path(staged) / name for name in files], f"{folder}/", [f"{folder}/{name}" for name in files])

    def pull(self, remote: str, local: Path) -> None:
        (size,) = self._sizes([remote]) or (None,)
        if size is None:
            raise DeviceError(f"device {self._name!r}: cannot copy {remote} to {local}: there is no such file")
        try:
            with tempfile.TemporaryDirectory(prefix=".mnas.", dir=local.parent) as here:
                part = Path(here) / "part"
                self._transfer("pull", [remote, str(part)], size, f"{remote} to {local}")
                if part.stat().st_size != size:
                    raise DeviceError(f"device {self._name!r}: {remote} came as {part.stat().st_size} of {size} bytes")
                part.chmod(0o644)
                os.replace(part, local)
        except OSError as error:
            raise DeviceError(f"device {self._name!r}: cannot copy {remote} to {local}: {error.strerror}") from error

    def run(self, argv: Sequence[str], timeout_s: float) -> tuple[int, str, str]:
        reader, writer = os.pipe()
        try:
            with os.fdopen(reader, "rb") as stdin:
                code, out, err = self._adb(
                    timeout_s, self._shell, _RUN % (shlex.join(argv), self._mark), stdin=stdin, what=argv[0]
                )
        finally:
            os.close(writer)
        ended = re.search(rf"{self._mark}(\d+|lacks)\n", out)
        if not ended and code > 128:  # the shell itself was killed; adb has no such codes of its own
            return process.from_shell(code), out, err
        if not ended:
            raise self._broken(f"running {argv[0]!r}", code, err)
        if ended[1] == "lacks":
            raise DeviceError(f"device {self._name!r} has no program {argv[0]!r}")
        return process.from_shell(int(ended[1])), out[: ended.start()], err

    def _reach(self) -> None:
        """Connect where that is needed, and check that the phone is ready.

        Raises:
            DeviceError: it is not.
        """
        phone = self._phone()
        if phone.connectable:
            if phone.state == "offline":
                self._adb(_SMALL_S, "disconnect", self._serial, selecting=False)
            _, out, err = self._adb(_SMALL_S, "connect", self._serial, selecting=False)  # its code is 0 on failure, too
            phone = self._phone()
            if phone.state == "absent":
                raise DeviceError(
                    f"device {self._name!r}: {' '.join((out + err).split())}; is it switched on and in this network? "
                    "Plugged in by USB, it listens after: adb tcpip 5555"
                )
        if phone.advice:
            raise DeviceError(f"device {self._name!r}: phone {self._serial} is {phone.state}: {phone.advice}")

    def _phone(self) -> Phone:
        return find_phone(self._serial, phones())

    def _push(self, files: Sequence[Path], target: str, remotes: Sequence[str]) -> None:
        """Copy files in one transfer, and check what arrived."""
        try:
            sizes = [file.stat().st_size for file in files]
        except OSError as error:
            raise DeviceError(f"device {self._name!r}: cannot copy {error.filename}: {error.strerror}") from error
        if not files:
            return
        sources = [str(file.absolute()) for file in files]
        self._transfer("push", [*sources, target], sum(sizes), f"{files[0].name} to {target}")
        if (arrived := self._sizes(remotes)) != sizes:
            raise DeviceError(f"device {self._name!r}: {target} came as {arrived} bytes instead of {sizes}")

    def _transfer(self, verb: str, paths: Sequence[str], size: int, what: str) -> None:
        """Have adb copy, and say why it could not."""
        code, out, err = self._adb(transfer_s(size), verb, *paths, what=f"copying {what}")
        if code == 0:
            return
        why = _complaint(f"{err}\n{out}")
        if "No space left" in why:
            raise DeviceError(
                f"device {self._name!r}: cannot copy {what}: no space left there; look with: "
                f"adb -s {shlex.quote(self._serial)} shell df -h, or name another folder in its file"
            )
        if not why or re.search("connect failed|protocol fault|copy response", why) or self._phone().advice:
            raise self._broken(f"copying {what}", code, f"{err}\n{out}")
        raise DeviceError(f"device {self._name!r}: cannot copy {what}: {why}")

    def _sizes(self, remotes: Sequence[str]) -> list[int]:
        """Bytes of the files on the phone; those that are not there are left out."""
        lines: list[str] = []
        for start in range(0, len(remotes), _AT_ONCE):
            _, out, _ = self.run(["sh", "-c", _SIZES, "sh", *remotes[start : start + _AT_ONCE]], transfer_s())
            lines += out.splitlines()
        return [int(line) for line in lines if line.strip().isdecimal()]

    def _adb(
        self, timeout_s: float, *words: str, selecting: bool = True, stdin: int | IO[bytes] = DEVNULL, what: str = ""
    ) -> tuple[int, str, str]:
        """Run the client, and name what is late rather than the client."""
        selected = ["-s", self._serial] if selecting else []
        code, out, err = process.run_bytes(
            [client(), *selected, *words], timeout_s, name=self._name, program=what or f"adb {words[0]}", stdin=stdin
        )
        return code, process.text(out), process.text(err)

    def _broken(self, doing: str, code: int, said: str) -> DeviceError:
        """Say that the phone vanished, and what to do."""
        phone = self._phone()
        now = f"it is {phone.state} now: {phone.advice}" if phone.advice else "it is back now"
        why = _complaint(said) or f"adb ended with code {code}"
        return DeviceError(
            f"device {self._name!r}: phone {self._serial} vanished while {doing} ({why}); {now}. Run the same command "
            "again: it goes on where it stopped"
        )


def _complaint(said: str) -> str:
    """The first error that adb itself tells; empty if it tells none."""
    found = re.search(r"^(?:adb: )?error: (.*)$", said, re.MULTILINE)
    return found[1].strip() if found else ""
