"""Running the runner on a device, in a work folder there, and what to do when the process dies."""

from __future__ import annotations

import json
import signal
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

from mnas.devices import Device, Transport, connect, work_folder
from mnas.devices.process import from_shell
from mnas.errors import DeviceError, FormatError, MnasError
from mnas.runtimes.response import Response, parse

RUNNER = Path(__file__).with_name("runner.py")


def execute(
    device: Device,
    request: Mapping[str, str | int],
    files: Mapping[str, Path],
    timeout_s: float,
    profiled: Collection[str] = (),
) -> Response:
    """Have the runner time `files` by name; one that kills the process is left out of the next attempt.

    Of those named in `profiled` the nodes are timed, too.

    Raises:
        MnasError: a file is not there, or vanished meanwhile: no fault of its model.
        DeviceError: the device is missing, the time is up, or the runner failed as a whole or answered nonsense.
    """
    deadline = monotonic() + timeout_s
    _check_present(files.values())
    failed: dict[str, str] = {}
    transport = connect(device)
    with work_folder(transport, device) as folder, tempfile.TemporaryDirectory(prefix="mnas.") as here:
        attempt = _Attempt(device, transport, folder, Path(here), frozenset(profiled))
        places = attempt.place(files)
        while True:
            answer = attempt.run(request, places, deadline - monotonic())
            _check_present(files.values())
            if isinstance(answer, Response):
                return replace(answer, failed=failed | answer.failed)
            failed |= {answer.item: answer.reason}
            del places[answer.item]


def _check_present(files: Iterable[Path]) -> None:
    for path in files:
        if not path.is_file():
            raise MnasError(f"model file {path} is gone: run the same command again, and let nothing delete its files")


@dataclass(frozen=True)
class _Crash:
    """The model that killed the runner."""

    item: str
    reason: str


@dataclass(frozen=True)
class _Attempt:
    """Runs of the runner in one work folder.

    Attributes:
        device: where.
        transport: the way there.
        folder: the work folder on the device.
        here: a temporary folder on this side.
        profiled: names of the models whose nodes are timed.
    """

    device: Device
    transport: Transport
    folder: str
    here: Path
    profiled: frozenset[str]

    def place(self, files: Mapping[str, Path]) -> dict[str, str]:
        """Bring the runner and the model files to the device and say where the models are; ours stay where they are."""
        if self.device.local:
            self.transport.push(RUNNER, f"{self.folder}/runner.py")
            return {item: str(path.resolve()) for item, path in files.items()}
        names = {item: f"{i}{path.suffix}" for i, (item, path) in enumerate(files.items())}
        sent = {names[item]: path for item, path in files.items()}
        self.transport.push_all({"runner.py": RUNNER, **sent}, self.folder)
        return {item: f"{self.folder}/{name}" for item, name in names.items()}

    def run(self, request: Mapping[str, str | int], places: Mapping[str, str], timeout_s: float) -> Response | _Crash:
        """Run the runner once.

        Raises:
            DeviceError: it failed and no model is to blame.
        """
        items = list(places)
        profiled = [i for i, item in enumerate(items) if item in self.profiled]
        whole = {**request, "models": list(places.values()), "profiled": profiled}
        (self.here / "request.json").write_text(json.dumps(whole))
        self.transport.push(self.here / "request.json", f"{self.folder}/request.json")
        files = [f"{self.folder}/{name}" for name in ("runner.py", "request.json", "response.json")]
        bind = ["taskset", self.device.taskset] if self.device.taskset else []
        argv = [*bind, self.device.interpreter, *files]
        try:
            code, _, err = self.transport.run(argv, max(timeout_s, 0.0))
        except DeviceError as error:
            busy = self._busy(items)
            raise DeviceError(f"{error} (busy with {busy})" if busy else str(error)) from error
        if code == 0:
            return self._answer(items, int(request["reps"]))
        return self._crash(code, err, items)

    def _answer(self, items: Sequence[str], reps: int) -> Response:
        try:
            return parse(self._pull("response.json").decode(), items, reps)
        except (FormatError, UnicodeDecodeError) as error:
            raise DeviceError(f"device {self.device.name!r}: {error}") from error

    def _crash(self, code: int, err: str, items: Sequence[str]) -> _Crash:
        """Find who is to blame for a runner that ended with `code`."""
        number = -from_shell(code)  # the interpreter may be a shell's script
        busy = self._busy(items)
        if number == signal.SIGKILL:
            raise DeviceError(
                f"device {self.device.name!r} killed the runner with {len(items)} models, busy with {busy}; "
                "if memory ran out, measure fewer models at a time"
            )
        if number <= 0 or busy is None:
            last = err.strip().splitlines()[-1:]
            raise DeviceError(f"device {self.device.name!r}: the runner ended with code {code}: {''.join(last)}")
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        return _Crash(busy, f"the runtime died of {name}")

    def _busy(self, items: Sequence[str]) -> str | None:
        """The model that the runner noted last, if it noted one."""
        try:
            return items[int(self._pull("response.json.progress"))]
        except (DeviceError, ValueError, IndexError):
            return None

    def _pull(self, name: str) -> bytes:
        self.transport.pull(f"{self.folder}/{name}", self.here / name)
        return (self.here / name).read_bytes()
