"""Faults of devices by name, and a transport in which one of them happens once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NoReturn

from mnas.devices import Device, Transport
from mnas.devices.local import LocalTransport
from mnas.errors import DeviceError

Push = Callable[[Transport, Mapping[str, Path], str], None]
Run = Callable[[Transport, Sequence[str], float], tuple[int, str, str]]
Pull = Callable[[Transport, str, Path], None]


class Injector:
    """Makes transports; the fault happens in the first push, run or pull, as it is one of these.

    Register it under a name: `transports.register("faulty")(injector)`.

    Args:
        fault: a name in `PUSHES`, `RUNS` or `PULLS`.
        program: what the argument list of a run holds for which faults are meant; other runs go on as ever.
        file: what the name of a pulled file ends with for which faults are meant.
        inner: what makes the transport that really does things.

    Attributes:
        happened: how many times the fault happened.
    """

    def __init__(
        self,
        fault: str,
        *,
        program: str = "runner.py",
        file: str = "response.json",
        inner: Callable[[Device], Transport] = LocalTransport,
    ) -> None:
        assert fault in {*PUSHES, *RUNS, *PULLS}, fault
        self.fault, self.program, self.file, self.inner = fault, program, file, inner
        self.happened = 0

    def __call__(self, device: Device) -> Transport:
        return _Faulty(self, self.inner(device))

    def happens(self, among: Mapping[str, object], meant: bool) -> bool:
        """Whether the fault is to happen now, which is noted."""
        now = meant and self.fault in among and not self.happened
        self.happened += now
        return now


class _Faulty:
    def __init__(self, injector: Injector, inner: Transport) -> None:
        self._injector, self._inner = injector, inner

    def push(self, local: Path, remote: str) -> None:
        path = PurePosixPath(remote)
        self.push_all({path.name: local}, str(path.parent))

    def push_all(self, files: Mapping[str, Path], folder: str) -> None:
        if self._injector.happens(PUSHES, True):
            PUSHES[self._injector.fault](self._inner, files, folder)
        else:
            self._inner.push_all(files, folder)

    def pull(self, remote: str, local: Path) -> None:
        if self._injector.happens(PULLS, remote.endswith(self._injector.file)):
            PULLS[self._injector.fault](self._inner, remote, local)
        else:
            self._inner.pull(remote, local)

    def run(self, argv: Sequence[str], timeout_s: float) -> tuple[int, str, str]:
        if self._injector.happens(RUNS, any(self._injector.program in word for word in argv)):
            return RUNS[self._injector.fault](self._inner, argv, timeout_s)
        return self._inner.run(argv, timeout_s)


def _dropped(*_: object) -> NoReturn:
    raise DeviceError("device 'pi': the connection dropped; run the same command again")


def _full(*_: object) -> NoReturn:
    raise DeviceError("device 'pi' cannot write: no space left; free some, and run the same command again")


def _dropped_during_push(inner: Transport, files: Mapping[str, Path], folder: str) -> None:
    """Half of the first file arrives."""
    name, local = next(iter(files.items()))
    half = local.with_name(f"{local.name}.half")
    half.write_bytes(local.read_bytes()[: local.stat().st_size // 2])
    try:
        inner.push(half, f"{folder}/{name}")
    finally:
        half.unlink()
    _dropped()


def _dropped_after_push(inner: Transport, files: Mapping[str, Path], folder: str) -> None:
    inner.push_all(files, folder)
    _dropped()


def _dropped_after_run(inner: Transport, argv: Sequence[str], timeout_s: float) -> NoReturn:
    """The work is done, but nobody hears of it."""
    inner.run(argv, timeout_s)
    _dropped()


def _rebooted(inner: Transport, argv: Sequence[str], timeout_s: float) -> NoReturn:
    """What was in temporary folders is gone."""
    for word in argv:
        if word.endswith("runner.py"):
            shutil.rmtree(Path(word).parent)
    _dropped()


def _hung(inner: Transport, argv: Sequence[str], timeout_s: float) -> tuple[int, str, str]:
    return inner.run(["sleep", "60"], 0.2)


def _killed(inner: Transport, argv: Sequence[str], timeout_s: float) -> tuple[int, str, str]:
    return inner.run(["sh", "-c", "kill -KILL $$"], timeout_s)


def _wrong_code(inner: Transport, argv: Sequence[str], timeout_s: float) -> tuple[int, str, str]:
    _, out, err = inner.run(argv, timeout_s)
    return 3, out, err


def _silent(inner: Transport, argv: Sequence[str], timeout_s: float) -> tuple[int, str, str]:
    """It says that all went well, but did nothing."""
    return 0, "", ""


def _full_during_run(inner: Transport, argv: Sequence[str], timeout_s: float) -> tuple[int, str, str]:
    return 1, "", "OSError: [Errno 28] No space left on device: 'response.json.tmp'\n"


def _dropped_during_pull(inner: Transport, remote: str, local: Path) -> None:
    _cut(inner, remote, local)
    _dropped()


def _dropped_after_pull(inner: Transport, remote: str, local: Path) -> None:
    inner.pull(remote, local)
    _dropped()


def _cut(inner: Transport, remote: str, local: Path) -> None:
    inner.pull(remote, local)
    local.write_bytes(local.read_bytes()[: local.stat().st_size // 2])


def _garbage(inner: Transport, remote: str, local: Path) -> None:
    local.write_bytes(bytes(range(256)))


def _changed(change: Callable[[list[list[int]]], object]) -> Pull:
    """Changes the times [wall, CPU, preempted] of the last visit."""

    def pull(inner: Transport, remote: str, local: Path) -> None:
        inner.pull(remote, local)
        answer = json.loads(local.read_text())
        change(answer["visits"][-1][2:5])
        local.write_text(json.dumps(answer))

    return pull


def _backwards(times: list[list[int]]) -> None:
    times[0][-1] = -1_000_000


def _too_few(times: list[list[int]]) -> None:
    times[0].pop()


PUSHES: dict[str, Push] = {
    "drop before push": _dropped,
    "drop during push": _dropped_during_push,
    "drop after push": _dropped_after_push,
    "full disk in push": _full,
}
RUNS: dict[str, Run] = {
    "drop before run": _dropped,
    "drop after run": _dropped_after_run,
    "reboot in run": _rebooted,
    "hang": _hung,
    "kill": _killed,
    "wrong exit code": _wrong_code,
    "exit code 0 without an answer": _silent,
    "full disk in run": _full_during_run,
}
PULLS: dict[str, Pull] = {
    "drop before pull": _dropped,
    "drop during pull": _dropped_during_pull,
    "drop after pull": _dropped_after_pull,
    "partial answer": _cut,
    "garbage answer": _garbage,
    "clock backwards": _changed(_backwards),
    "answer with too few runs": _changed(_too_few),
}
