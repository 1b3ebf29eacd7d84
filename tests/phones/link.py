"""The device side of adb's transport protocol: packets, and the streams that they carry."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress

A_CNXN, A_OPEN, A_OKAY, A_CLSE, A_WRTE, A_AUTH = (
    int.from_bytes(word, "little") for word in (b"CNXN", b"OPEN", b"OKAY", b"CLSE", b"WRTE", b"AUTH")
)
_VERSION = 0x01000001
_MAX_DATA = 256 * 1024
_HEADER = struct.Struct("<6I")
_AUTH_TOKEN = 1


class Stream:
    """One stream of a connection, open towards one service."""

    def __init__(self, link: Link, own: int, other: int) -> None:
        self.link, self.own, self.other = link, own, other
        self.closed = False
        self._received = bytearray()
        self._more = asyncio.Event()
        self._taken = asyncio.Event()
        self._ended = asyncio.Event()

    async def ended(self) -> None:
        """Wait until it is closed."""
        await self._ended.wait()

    async def read(self, n: int) -> bytes:
        """Exactly `n` bytes; EOFError when the other side closes before."""
        while len(self._received) < n:
            if self.closed:
                raise EOFError
            self._more.clear()
            await self._more.wait()
        data = bytes(self._received[:n])
        del self._received[:n]
        return data

    async def read_some(self) -> bytes:
        """What there is, at least a byte; EOFError when the other side closes before."""
        first = await self.read(1)
        rest = bytes(self._received)
        self._received.clear()
        return first + rest

    async def write(self, data: bytes) -> None:
        """Send, and wait until the other side has taken it; EOFError when it closes before."""
        for start in range(0, len(data), self.link.max_data):
            if self.closed:
                raise EOFError
            self._taken.clear()
            self.link.send(A_WRTE, self.own, self.other, data[start : start + self.link.max_data])
            await self._taken.wait()
        if self.closed:
            raise EOFError

    def received(self, data: bytes) -> None:
        self._received += data
        self._more.set()

    def taken(self) -> None:
        self._taken.set()

    def close(self) -> None:
        """Close from this side, or hear that the other side did: whoever waits is woken."""
        if not self.closed:
            self.closed = True
            self.link.send(A_CLSE, self.own, self.other)
        for event in (self._more, self._taken, self._ended):
            event.set()


class Link:
    """A connection of an adb server.

    Args:
        reader: from the server.
        writer: to the server.
        banner: what the phone says it is; empty to ask for a key and never accept one.
        serve: runs a service (such as "shell,v2:id") over a stream.
        mute: never to answer.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        banner: bytes,
        serve: Callable[[Stream, str], Awaitable[None]],
        *,
        mute: bool = False,
    ) -> None:
        self.max_data = _MAX_DATA
        self._reader, self._writer, self._banner, self._serve = reader, writer, banner, serve
        self._streams: dict[int, Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._mute = mute
        self._next = 1

    def send(self, command: int, first: int, second: int, data: bytes = b"") -> None:
        """Queue one packet."""
        header = _HEADER.pack(command, first, second, len(data), sum(data) & 0xFFFFFFFF, command ^ 0xFFFFFFFF)
        self._writer.write(header + data)

    async def run(self) -> None:
        """Take packets until the connection ends; all its services end with it."""
        try:
            while True:
                command, first, second, length, _, magic = _HEADER.unpack(await self._reader.readexactly(_HEADER.size))
                if magic != command ^ 0xFFFFFFFF:
                    raise ConnectionError("no packet of adb's")
                self._take(command, first, second, await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.drop()
            for stream in list(self._streams.values()):
                stream.close()
            if self._tasks:
                await asyncio.wait(self._tasks)

    def drop(self) -> None:
        """Cut the connection at once."""
        self._writer.transport.abort()

    def _take(self, command: int, first: int, second: int, data: bytes) -> None:
        if self._mute:
            return
        stream = self._streams.get(second)
        if command == A_CNXN:
            self.max_data = min(second, _MAX_DATA)
            if self._banner:
                self.send(A_CNXN, _VERSION, _MAX_DATA, self._banner)
            else:
                self.send(A_AUTH, _AUTH_TOKEN, 0, bytes(20))
        elif command == A_AUTH and first != 3:  # a signature, which no key makes good; 3 is a key to be accepted
            self.send(A_AUTH, _AUTH_TOKEN, 0, bytes(20))
        elif command == A_OPEN:
            self._open(first, data.rstrip(b"\0").decode())
        elif command == A_WRTE and stream:
            stream.received(data)
            self.send(A_OKAY, second, first)
        elif command == A_OKAY and stream:
            stream.taken()
        elif command == A_CLSE and stream:
            stream.close()

    def _open(self, other: int, service: str) -> None:
        stream = Stream(self, self._next, other)
        self._streams[self._next] = stream
        self._next += 1
        task = asyncio.create_task(self._run(stream, service))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, stream: Stream, service: str) -> None:
        self.send(A_OKAY, stream.own, stream.other)
        with suppress(EOFError, ConnectionError):
            await self._serve(stream, service)
        stream.close()
        del self._streams[stream.own]
