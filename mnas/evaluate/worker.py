"""The far end of `LocalExecutor`: a process that evaluates one job at a time.

Messages are pickles over pipes that only the two processes hold; no file is ever read this way. The first message in is
the evaluator, answered by what went wrong with it, if anything; every further one is a job, answered by its outcome.
"""

from __future__ import annotations

import os
import pickle
import queue
import sys
import threading
from typing import IO

from mnas.evaluate.executors import attempt
from mnas.evaluate.frames import receive, send


def serve() -> None:
    """Answer messages until the pipe closes; then end at once, whatever is running."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what an evaluator prints must not get into the messages
    messages: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, messages), daemon=True).start()
    try:
        evaluator = pickle.loads(messages.get())  # noqa: S301 (from our own parent)
    except Exception as error:
        send(replies, f"{type(error).__name__}: {error}".encode())
        return
    send(replies, b"")
    while True:
        outcome = attempt(evaluator, pickle.loads(messages.get()))  # noqa: S301 (from our own parent)
        send(replies, pickle.dumps(tuple(outcome)))


def _listen(requests: IO[bytes], messages: queue.SimpleQueue[bytes]) -> None:
    while True:
        try:
            messages.put(receive(requests))
        except (EOFError, OSError):
            os._exit(0)
