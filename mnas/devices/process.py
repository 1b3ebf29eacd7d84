"""Commands on this side that always end: their process group dies when the time is up or the caller is interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

from mnas.errors import DeviceError


def run(argv: Sequence[str], timeout_s: float, *, name: str) -> tuple[int, str, str]:
    """Run a command here on behalf of the device `name`, without input, in a process group of its own.

    Returns:
        Its return code (minus the signal that ended it), output and error output, both read as UTF-8.

    Raises:
        DeviceError: the program is missing, or the time is up (the group is then dead).
    """
    code, out, err = run_bytes(argv, timeout_s, name=name, program=argv[0])
    return code, text(out), text(err)


def run_bytes(
    argv: Sequence[str], timeout_s: float, *, name: str, program: str, stdin: int | IO[bytes] = subprocess.DEVNULL
) -> tuple[int, bytes, bytes]:
    """As `run`, with bytes, with input from a file if there is one, and with the word for the program in messages."""
    try:
        process = subprocess.Popen(
            list(argv), stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
    except (OSError, ValueError) as error:  # ValueError: a null byte in an argument
        why = error.strerror if isinstance(error, OSError) else error
        raise DeviceError(f"device {name!r} cannot run {program!r}: {why}") from error
    with process:
        try:
            out, err = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            _kill(process)
            raise DeviceError(f"device {name!r}: {program!r} took more than {timeout_s:.3g} s") from error
        except BaseException:  # an interrupt must not leave the group running
            _kill(process)
            raise
    return process.returncode, out, err


def from_shell(code: int) -> int:
    """Read the return code of a shell, which adds 128 to a signal, as minus the signal."""
    return 128 - code if code - 128 in set(signal.Signals) else code


def text(output: bytes) -> str:
    """Read output as UTF-8; what is none is replaced."""
    return output.decode(errors="replace")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the whole group of a process."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
