"""One measurement with `benchmark_model`: everything it needs pushed at once, one script run, one archive pulled."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

from mnas.devices import Device, Transport, connect, work_folder
from mnas.errors import DeviceError, FormatError, MnasError
from mnas.runtimes.benchmark import script
from mnas.runtimes.benchmark.binary import WHERE, Binary
from mnas.runtimes.runtime import Plan

_WARMUPS = 10
"""Untimed runs at least: a process begins with cold caches and cores that idled (nn-Meter warms up as often)."""
_SUFFIX = ".tflite"


@dataclass(frozen=True)
class Unit:
    """All visits of one measurement.

    Attributes:
        device: where.
        binary: the tool.
        models: files by name.
        plan: rounds, runs and seed.
        profiled: names of models of which every op is timed.
        flag: what tells the tool its delegate.
    """

    device: Device
    binary: Binary
    models: Mapping[str, Path]
    plan: Plan
    profiled: frozenset[str]
    flag: str

    @cached_property
    def visits(self) -> Sequence[tuple[str, int]]:
        """Model and round of every visit: all models in a new random order each round."""
        order = random.Random(self.plan.seed)  # noqa: S311 - an order, not a secret
        names = list(self.models)
        return [(name, n) for n in range(self.plan.passes) for name in order.sample(names, len(names))]

    def results(self) -> tuple[script.Mode, dict[int, script.Result]]:
        """Run the script on the device.

        Returns:
            The form of profiles, and results by number of the visit.

        Raises:
            MnasError: a file is not there.
            DeviceError: the device is missing, the time is up, or the script failed as a whole or gave nonsense.
        """
        deadline = monotonic() + self.plan.timeout_s
        if gone := next((path for path in self.models.values() if not path.is_file()), None):
            raise MnasError(f"model file {gone} is gone: run the same command again, and let nothing delete its files")
        transport = connect(self.device)
        with TemporaryDirectory(prefix="mnas.") as here, work_folder(transport, self.device) as folder:
            written = Path(here, script.SCRIPT)
            written.write_text(self._script(), encoding="utf-8")
            own = {script.SCRIPT: written, script.TOOL: self.binary.path}
            transport.push_all(own | dict(zip(self._files.values(), self.models.values(), strict=True)), folder)
            self._run(transport, folder, deadline - monotonic())
            archive = _pulled(transport, f"{folder}/{script.RESULTS}", Path(here, script.RESULTS))
        try:
            return script.read_results(archive, len(self.visits))
        except FormatError as error:
            raise DeviceError(f"device {self.device.name!r}: {error}") from error

    @cached_property
    def _files(self) -> Mapping[str, str]:
        """What the models are called on the device."""
        return {name: f"m{i}{_SUFFIX}" for i, name in enumerate(self.models)}

    def _script(self) -> str:
        flags = [
            f"--num_threads={self.plan.num_threads}", f"--num_runs={self.plan.reps}", "--min_secs=0",
            f"--warmup_runs={max(self.plan.warmups, _WARMUPS)}", "--warmup_min_secs=0", self.flag,
        ]  # fmt: skip
        visits = (script.Visit(self._files[name], name in self.profiled) for name, _ in self.visits)
        return script.write_script(visits, flags, self.device.taskset)

    def _run(self, transport: Transport, folder: str, timeout_s: float) -> None:
        try:
            code, _, err = transport.run(["sh", f"{folder}/{script.SCRIPT}", folder], max(timeout_s, 0.0))
        except DeviceError as error:
            busy = self._busy(transport, folder)
            raise DeviceError(f"{error}, busy with {busy}" if busy else str(error)) from error
        last = "".join(err.strip().splitlines()[-1:])
        if code == script.CANNOT_RUN:
            raise DeviceError(f"device {self.device.name!r} cannot run benchmark_model ({last}): {WHERE}")
        if code == script.CANNOT_BIND:
            raise DeviceError(
                f"device {self.device.name!r} cannot bind to the cores of mask {self.device.taskset} ({last}): change "
                "taskset in its file"
            )
        if code != 0:
            raise DeviceError(
                f"device {self.device.name!r}: the script that runs benchmark_model ended with code {code} ({last}); "
                "is there room left on the device?"
            )

    def _busy(self, transport: Transport, folder: str) -> str | None:
        """The model that the script noted last, if it can be asked."""
        try:
            with TemporaryDirectory(prefix="mnas.") as here:
                noted = _pulled(transport, f"{folder}/{script.PROGRESS}", Path(here, script.PROGRESS)).decode().strip()
            return next((name for name, file in self._files.items() if file == noted), None)
        except (DeviceError, UnicodeDecodeError):
            return None


def _pulled(transport: Transport, remote: str, local: Path) -> bytes:
    transport.pull(remote, local)
    return local.read_bytes()
