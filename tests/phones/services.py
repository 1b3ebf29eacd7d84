"""What a phone does for adb: run shell commands, and take and give files."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from tests.phones.faults import Point
from tests.phones.link import Stream

_STDIN, _STDOUT, _STDERR, _EXIT, _CLOSE_STDIN = range(5)
_CHUNK = 32 * 1024


class Host(Protocol):
    """What services need of their phone."""

    @property
    def env(self) -> dict[str, str]: ...

    @property
    def root(self) -> Path: ...

    @property
    def running(self) -> set[int]: ...

    def inward(self, command: str) -> str: ...

    def file(self, path: str) -> Path: ...

    def writable(self, path: Path) -> bool: ...

    async def point(self, point: Point, what: str, stream: Stream, group: int = 0) -> bool: ...


class Outward:
    """Removes the root from paths in output, also where a read cuts them in two."""

    def __init__(self, root: Path) -> None:
        self._root = str(root).encode()
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        whole = (self._held + data).replace(self._root, b"")
        longest = min(len(self._root) - 1, len(whole))
        n = next((n for n in range(longest, 0, -1) if self._root.startswith(whole[-n:])), 0)
        self._held = whole[len(whole) - n :]
        return whole[: len(whole) - n]

    def end(self) -> bytes:
        return self._held


async def shell(phone: Host, stream: Stream, service: str, command: str) -> None:
    """Run a command as the real daemon does without a terminal.

    One socket is both its input and output, so that a copy of either that lives on keeps the service open; the shell
    leads a session of its own and gets SIGHUP when the stream closes.
    """
    v2 = "v2" in service.split(",")
    await phone.point("run", command, stream)
    ours, theirs = socket.socketpair()
    errors_ours, errors_theirs = socket.socketpair()
    with theirs, errors_theirs:
        process = await asyncio.create_subprocess_exec(
            phone.root / "system/bin/sh", "-c", phone.inward(command),
            stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=(errors_theirs if v2 else theirs).fileno(),
            env=phone.env, cwd=phone.root, start_new_session=True,
        )  # fmt: skip
    phone.running.add(process.pid)
    out_reader, out_writer = await asyncio.open_connection(sock=ours)
    err_reader, err_writer = await asyncio.open_connection(sock=errors_ours)
    feeding = asyncio.create_task(_feed(stream, out_writer, v2))
    try:
        await phone.point("running", command, stream, process.pid)
        await asyncio.gather(
            _drain(phone, stream, out_reader, _STDOUT if v2 else None),
            _drain(phone, stream, err_reader, _STDERR if v2 else None),
        )
        code = await process.wait()
        await phone.point("ran", command, stream)
        if v2:
            await stream.write(_packet(_EXIT, bytes([code if code >= 0 else 128 - code])))
    finally:
        feeding.cancel()
        out_writer.close()
        err_writer.close()
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGHUP)
        await process.wait()
        phone.running.discard(process.pid)


def _packet(kind: int, data: bytes) -> bytes:
    return struct.pack("<BI", kind, len(data)) + data


async def _drain(phone: Host, stream: Stream, reader: asyncio.StreamReader, kind: int | None) -> None:
    """Send what a command prints."""
    outward = Outward(phone.root)
    while data := await reader.read(_CHUNK):
        if shown := outward.feed(data):
            await stream.write(shown if kind is None else _packet(kind, shown))
    if rest := outward.end():
        await stream.write(rest if kind is None else _packet(kind, rest))


async def _feed(stream: Stream, writer: asyncio.StreamWriter, v2: bool) -> None:
    """Pass on the command's input; its end is heard over there when either side closes."""
    try:
        while True:
            if not v2:
                writer.write(await stream.read_some())
                continue
            kind, length = struct.unpack("<BI", await stream.read(5))
            data = await stream.read(length)
            if kind == _STDIN:
                writer.write(data)
            elif kind == _CLOSE_STDIN:
                writer.write_eof()
    except EOFError:
        writer.close()


async def sync(phone: Host, stream: Stream, service: str, argument: str) -> None:
    """The file service: STAT, LIST, SEND and RECV until QUIT."""
    requests = {b"STAT": _stat, b"LIST": _list, b"SEND": _send, b"RECV": _receive}
    while True:
        word, length = struct.unpack("<4sI", await stream.read(8))
        if word == b"QUIT":
            return
        path = (await stream.read(length)).decode(errors="surrogateescape")
        if word not in requests:
            await _fail(stream, "unknown command")
            return
        await requests[word](phone, stream, path)


async def _stat(phone: Host, stream: Stream, path: str) -> None:
    try:
        found = phone.file(path).stat()
        told = (found.st_mode, found.st_size & 0xFFFFFFFF, int(found.st_mtime))
    except OSError:
        told = (0, 0, 0)
    await stream.write(struct.pack("<4s3I", b"STAT", *told))


async def _list(phone: Host, stream: Stream, path: str) -> None:
    folder = phone.file(path)
    for each in sorted(folder.iterdir()) if folder.is_dir() else ():
        found, name = each.lstat(), os.fsencode(each.name)
        head = struct.pack("<4s4I", b"DENT", found.st_mode, found.st_size, int(found.st_mtime), len(name))
        await stream.write(head + name)
    await stream.write(struct.pack("<4s4I", b"DONE", 0, 0, 0, 0))


async def _send(phone: Host, stream: Stream, told: str) -> None:
    """Take a file; data keeps coming after a failure and must be read."""
    path, _, mode = told.rpartition(",")
    target = phone.file(path)
    failure = "" if phone.writable(target) else "couldn't create file: Permission denied"
    if await phone.point("push", path, stream):
        failure = "write failed: No space left on device"
    content = bytearray()
    while True:
        word, length = struct.unpack("<4sI", await stream.read(8))
        if word == b"DONE":
            break
        content += await stream.read(length)
        if await phone.point("pushing", path, stream):
            failure = "write failed: No space left on device"
    if not failure:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            target.chmod(int(mode) & 0o777)
            os.utime(target, (length, length))
        except OSError as error:
            failure = f"couldn't create file: {error.strerror}"
    await phone.point("pushed", path, stream)
    if failure:
        await _fail(stream, failure)
    else:
        await stream.write(struct.pack("<4sI", b"OKAY", 0))


async def _receive(phone: Host, stream: Stream, path: str) -> None:
    await phone.point("pull", path, stream)
    try:
        content = phone.file(path).read_bytes()
    except OSError as error:
        await _fail(stream, f"open failed: {error.strerror}")
        return
    for start in range(0, len(content), 2 * _CHUNK):
        part = content[start : start + 2 * _CHUNK]
        await stream.write(struct.pack("<4sI", b"DATA", len(part)) + part)
        await phone.point("pulling", path, stream)
    await phone.point("pulled", path, stream)
    await stream.write(struct.pack("<4sI", b"DONE", 0))


async def _fail(stream: Stream, why: str) -> None:
    message = why.encode()
    await stream.write(struct.pack("<4sI", b"FAIL", len(message)) + message)
