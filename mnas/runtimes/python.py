"""Runtimes that are a Python wheel on the device: `runner.py` drives them all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mnas.devices import Device, connect
from mnas.errors import DeviceError
from mnas.lower import Format
from mnas.runtimes.execution import execute
from mnas.runtimes.response import Response
from mnas.runtimes.runtime import Measurement, Plan
from mnas.runtimes.samples import Conditions, join_options

_VERSION = (
    "import os, sys; from importlib.metadata import version; print(version(sys.argv[1])); "
    "own = '/proc/thread-self/exe'; print(os.readlink(own) if os.path.lexists(own) else '')"
)
"""Print the version of a wheel, and the program that really runs: an emulator of user programs hides behind Python."""
_EMULATORS = ("qemu", "rosetta")
"""Words in the names of such emulators."""


@dataclass(frozen=True)
class PythonRuntime:
    """A runtime that has a loader in `runner.py`.

    Attributes:
        name: of the loader.
        format: of the model files.
        suffix: of their names.
        wheel: the distribution to install on the device.
        options: what the loader tells the runtime, for the record.
    """

    name: str
    format: Format
    suffix: str
    wheel: str
    options: Mapping[str, str | int]

    def conditions(self, device: Device, plan: Plan, dtype: str = "float32") -> Conditions:
        code, out, err = connect(device).run([device.interpreter, "-c", _VERSION, self.wheel], plan.timeout_s)
        told = out.splitlines()[-2:]
        if code != 0 or len(told) < 2:
            raise self._missing(device, "".join(err.strip().splitlines()[-1:]))
        version, program = told
        if not device.emulated and any(word in PurePosixPath(program).name for word in _EMULATORS):
            raise DeviceError(
                f"the processor of device {device.name!r} is emulated by {program}: its times mean nothing; to go on "
                "and have them marked, set emulated = true in the device's file"
            )
        return self._conditions(device, plan, dtype, version)

    def measure(self, device: Device, models: Mapping[str, Path], plan: Plan) -> Measurement:
        return self._measure(device, models, plan)[0]

    def _measure(
        self, device: Device, models: Mapping[str, Path], plan: Plan, profiled: Collection[str] = ()
    ) -> tuple[Measurement, Response]:
        request: dict[str, str | int] = {
            "runtime": self.name,
            "wheel": self.wheel,
            "passes": plan.passes,
            "reps": plan.reps,
            "warmups": plan.warmups,
            "seed": plan.seed,
            "num_threads": plan.num_threads,
            "evict_kib": plan.evict_kib,
        }
        response = execute(device, request, models, plan.timeout_s, profiled)
        if response.missing:
            raise self._missing(device, response.missing)
        conditions = self._conditions(device, plan, "float32", response.runtime_version)
        return Measurement(response.samples, response.failed, conditions, response.checksums), response

    def _conditions(self, device: Device, plan: Plan, dtype: str, version: str) -> Conditions:
        return Conditions(
            device=device.name,
            runtime=self.name,
            runtime_version=version,
            options=join_options({**self.options, "evict_kib": plan.evict_kib}),
            dtype=dtype,
            num_threads=plan.num_threads,
            affinity=device.taskset,
            emulated=device.emulated,
        )

    def _missing(self, device: Device, why: str) -> DeviceError:
        install = f"{device.interpreter} -m pip install {self.wheel}"
        return DeviceError(f"device {device.name!r} cannot run {self.name} ({why}); install it there with: {install}")
