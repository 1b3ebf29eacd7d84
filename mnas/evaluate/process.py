"""The near end of a worker process: started when first asked, replaced after it died, ended for good by `retire`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from mnas.errors import EvaluationError

_SIGKILL = 9
_START = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
from mnas.evaluate.worker import serve
serve()
"""
_ALONE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
"""Read by torch's thread pool when it is loaded: one thread, which sleeps when it waits."""


class WorkerProcess:
    """A process that runs `mnas.evaluate.worker.serve`. It finds the modules that this process finds.

    Args:
        greeting: the first message it is sent, one line.
    """

    def __init__(self, greeting: str) -> None:
        self._greeting = greeting
        self._process: subprocess.Popen[str] | None = None
        self._retired = False
        self._lock = threading.Lock()

    def ask(self, message: str) -> Any:
        """Send a message of one line and wait for its answer, which is JSON.

        Raises:
            EOFError, OSError: the process died over it, or is retired.
            EvaluationError: a new process cannot make use of the greeting.
        """
        process = self._process or self._start()
        return _exchange(process, message)

    def stop(self) -> str:
        """Kill the process if it is still there, and say how it ended."""
        with self._lock:
            process, self._process = self._process, None
        if process is None:
            return "was stopped"
        try:
            code: int | None = process.wait(timeout=1)  # it closed its pipes: it is about to end by itself
        except subprocess.TimeoutExpired:
            code = None
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        if code is None:
            return "closed its pipes"
        if code >= 0:
            return f"ended with code {code}"
        return f"was killed by signal {-code}{' (out of memory?)' if code == -_SIGKILL else ''}"

    def retire(self) -> None:
        """End the process now and let no other be started."""
        with self._lock:
            self._retired = True
            if self._process is not None:
                self._process.kill()

    def _start(self) -> subprocess.Popen[str]:
        path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        with self._lock:
            if self._retired:
                raise EOFError
            process = self._process = subprocess.Popen(
                [sys.executable, "-c", _START],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, **_ALONE, "PYTHONPATH": path},
            )
        try:
            problem = str(_exchange(process, self._greeting))
        except (EOFError, OSError):
            problem = f"it {self.stop()}"
        if self._retired:
            raise EOFError
        if problem:
            self.stop()
            raise EvaluationError(f"a worker process cannot load the evaluator: {problem}")
        return process


def _exchange(process: subprocess.Popen[str], message: str) -> Any:
    if process.stdin is None or process.stdout is None:
        raise EOFError
    process.stdin.write(message + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer.endswith("\n"):
        raise EOFError
    return json.loads(answer)
