"""The far end of `LocalExecutor`: a process that evaluates one job at a time.

Messages are lines of JSON. The first line in describes the evaluator and is answered by what went wrong with it, if
anything; every further one is a job, an architecture's text and a seed, and is answered by its outcome, or by an error
that ends the work.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from typing import IO

import torch

from mnas.evaluate.evaluator import restore
from mnas.evaluate.executors import ENDING, attempt
from mnas.ir import Architecture


def serve() -> None:
    """Answer messages until the pipe closes; then end at once, whatever is running."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what an evaluator prints must not get into the messages
    torch.set_num_threads(1)
    messages: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin, messages), daemon=True).start()

    def reply(message: object) -> None:
        replies.write(json.dumps(message) + "\n")
        replies.flush()

    try:
        evaluator = restore(messages.get())
    except Exception as error:
        reply(f"{type(error).__name__}: {error}")
        return
    reply("")
    while True:
        text, seed = json.loads(messages.get())
        try:
            reply(attempt(evaluator, (Architecture.parse(text), seed))._asdict())
        except tuple(ENDING.values()) as error:
            kind = next(kind for kind, cls in ENDING.items() if isinstance(error, cls))
            reply({"ending": kind, "error": str(error)})


def _listen(requests: IO[str], messages: queue.SimpleQueue[str]) -> None:
    while line := requests.readline():
        messages.put(line)
    os._exit(0)
