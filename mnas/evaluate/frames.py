"""Messages over a pipe: eight bytes that say how long one is, and the message."""

from __future__ import annotations

from typing import IO


def send(pipe: IO[bytes], message: bytes) -> None:
    """Write one message; OSError where the other end is gone."""
    pipe.write(len(message).to_bytes(8, "big") + message)
    pipe.flush()


def receive(pipe: IO[bytes]) -> bytes:
    """Read one message; EOFError where the other end is gone."""
    return _exactly(pipe, int.from_bytes(_exactly(pipe, 8), "big"))


def _exactly(pipe: IO[bytes], n: int) -> bytes:
    data = pipe.read(n)
    if len(data) != n:
        raise EOFError(f"the pipe ended after {len(data)} of {n} bytes")
    return data
