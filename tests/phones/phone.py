"""A phone of the tests' own, to which the real adb client connects over loopback.

Its commands are shell commands of this machine that find only the programs and see only the files of its folder:
absolute paths of a phone (`/data`, `/proc`, `/sys`, `/system`, `/sdcard`, `/etc`) are moved into the folder on their
way in and out of it on their way back. It keeps no keys and needs none, as emulators do.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Literal

from tests.phones.faults import Action, Fault, Point
from tests.phones.link import Link, Stream
from tests.phones.services import shell, sync

State = Literal["device", "unauthorized", "offline"]
TOOLS = (
    "cat", "chmod", "cp", "df", "env", "false", "grep", "head", "id", "ls", "mkdir", "mktemp", "mv", "printf", "rm",
    "sh", "sleep", "stat", "tar", "taskset", "touch", "tr", "true", "wc",
)  # fmt: skip
"""Programs that a phone has: mksh and toybox as on Android where they are installed, else those of this machine."""
_FOLDERS = ("data/local/tmp", "sdcard", "system/bin", "proc", "sys", "etc")
_TOP = "|".join(sorted({folder.partition("/")[0] for folder in _FOLDERS}))
_PATH = re.compile(rf"(?<![\w./-])/(?=(?:{_TOP})(?:[/'\"\s:;]|$))")
_WRITABLE = ("data/local/tmp", "sdcard")
_LATE_S = 20.0


class FakePhone:
    """A phone; a context manager that serves it.

    Args:
        folder: for its files; nothing outside is ever written.
        features: what its daemon can; without "shell_v2" it is one of before Android 7.

    Attributes:
        faults: what goes wrong; append to it.
        log: services that were asked for, such as "shell,v2,raw:id", in order.
        running: leaders of the process groups of running commands.
    """

    def __init__(self, folder: Path, features: Iterable[str] = ("shell_v2", "cmd", "fixed_push_mkdir")) -> None:
        self.root = folder.resolve()
        self.features = ",".join(features)
        self.faults: list[Fault] = []
        self.log: list[str] = []
        self.running: set[int] = set()
        self.env = {
            "PATH": f"{self.root}/system/bin",
            "TMPDIR": f"{self.root}/data/local/tmp",
            "ANDROID_ROOT": "/system",
        }
        self._state: State = "device"
        self._links: set[Link] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="phone")
        self._server: asyncio.Server | None = None
        self.port = 0
        for each in _FOLDERS:
            (self.root / each).mkdir(parents=True, exist_ok=True)
        for tool, found in _tools().items():
            (self.root / "system/bin" / tool).symlink_to(found)

    @property
    def serial(self) -> str:
        """Its address, as adb spells it."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> FakePhone:
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *exception: object) -> None:
        self._do(self._vanish(kill=True))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_LATE_S)
        self._loop.close()

    def program(self, name: str, script: str) -> None:
        """Install a program: its text, which begins with `#!`."""
        path = self.root / "system/bin" / name
        path.unlink(missing_ok=True)
        path.write_text(script)
        path.chmod(0o755)

    def answer(self, program: str, arguments: str, text: str) -> None:
        """Have a program print a text when it is called with `arguments` (one line, perhaps empty)."""
        told = self.root / "etc" / "answers" / program
        told.mkdir(parents=True, exist_ok=True)
        (told / f"{arguments}.txt").write_text(text)
        self.program(program, f'#!/bin/sh\nexec cat "{told}/$*.txt"\n')

    def write(self, path: str, text: str) -> None:
        """Put a text file on it, such as /proc/cpuinfo."""
        file = self.file(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def file(self, path: str) -> Path:
        """Where a file of the phone is here; inside its folder whatever the path says."""
        return self.root / os.path.normpath(f"/{path}").lstrip("/")

    def writable(self, path: Path) -> bool:
        """Whether adb's user may write to a file, given by where it is here."""
        resolved = path.resolve()
        return any(resolved.is_relative_to(self.root / each) for each in _WRITABLE)

    def inward(self, command: str) -> str:
        """A command with the phone's paths moved into its folder."""
        return _PATH.sub(lambda _: f"{self.root}/", command)

    def fail(self, point: Point, action: Action, match: str = "", skip: int = 0, times: int = 1) -> None:
        """Append a fault."""
        self.faults.append(Fault(point, action, match, skip, times))

    @property
    def state(self) -> State:
        """What adb is to find: ready, waiting for its user's consent, or answering nothing."""
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        self._state = state
        self._do(self._hang_up())

    def unplug(self) -> None:
        """Vanish; commands get SIGHUP."""
        self._do(self._vanish(kill=False))

    def plug_in(self) -> None:
        """Be there again at the same address."""
        self._do(self._listen())

    def reboot(self) -> None:
        """Vanish with every process, and be there again."""
        self._do(self._vanish(kill=True))
        self._do(self._listen())

    async def point(self, point: Point, what: str, stream: Stream, group: int = 0) -> bool:
        """Let a fault strike here, if one is to.

        Returns:
            Whether there is no space left.

        Raises:
            EOFError: the connection is gone.
        """
        fault = next((fault for fault in self.faults if fault.strikes(point, what)), None)
        if fault is None:
            return False
        if point == "running":
            await asyncio.sleep(0.2)  # so that the command is really in the middle
        if fault.action == "hang":
            await stream.ended()
            raise EOFError
        if fault.action == "kill":
            _kill(group)
            return False
        if fault.action == "full":
            return True
        if fault.action == "unplug":
            self._stop_listening()
        if fault.action == "reboot":
            for each in self.running:
                _kill(each)
        stream.link.drop()
        raise EOFError

    async def _serve(self, stream: Stream, service: str) -> None:
        self.log.append(service)
        name, _, argument = service.partition(":")
        services: dict[str, Callable[[FakePhone, Stream, str, str], Coroutine[Any, Any, None]]] = {
            "shell": shell, "exec": shell, "sync": sync,
        }  # fmt: skip
        if serve := services.get(name.split(",")[0]):
            await serve(self, stream, name, argument)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(reader, writer, self._banner(), self._serve, mute=self._state == "offline")
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)

    def _banner(self) -> bytes:
        if self._state != "device":
            return b""
        told = {"name": "fakephone", "model": "Fake_Phone", "device": "fake64"}
        words = "".join(f"ro.product.{key}={value};" for key, value in told.items())
        return f"device::{words}features={self.features}".encode()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _vanish(self, *, kill: bool) -> None:
        self._stop_listening()
        if kill:
            for group in self.running:
                _kill(group)
        await self._hang_up()

    async def _hang_up(self) -> None:
        """Cut every connection, and wait until all that was done for it has ended."""
        for link in list(self._links):
            link.drop()
        while self._links:
            await asyncio.sleep(0.01)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_LATE_S)


@cache
def _tools() -> dict[str, str]:
    """Where the programs of a phone are here."""
    toybox = shutil.which("toybox")
    listed = subprocess.run([toybox], check=True, capture_output=True, text=True, timeout=_LATE_S) if toybox else None
    known = set(listed.stdout.split()) if listed else set()
    places = {tool: toybox if tool in known else shutil.which(tool) for tool in TOOLS}
    places["sh"] = shutil.which("mksh") or "/bin/sh"
    return {tool: place for tool, place in places.items() if place}


def _kill(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
