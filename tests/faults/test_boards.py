"""Whatever goes wrong with a board once: a clear error, then the same command ends with a whole table."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnas.devices import Device, transports
from mnas.errors import DeviceError
from mnas.latency import LatencyTable, load_table, profile
from tests.faults.injection import PULLS, PUSHES, RUNS, Injector
from tests.latency.fakes import TINY

pytestmark = pytest.mark.slow
PI = Device("pi", "faulty", "anywhere", python=sys.executable)
SAYS = {
    "full disk in push": "no space left",
    "full disk in run": "No space left on device",
    "hang": "'sleep' took more than 0.2 s",
    "kill": "killed the runner",
    "wrong exit code": "the runner ended with code 3",
    "exit code 0 without an answer": r"cannot copy .*response\.json",
    "partial answer": "not an answer of the runner",
    "garbage answer": "invalid start byte",
    "clock backwards": "its clock stood still or ran backwards",
    "answer with too few runs": "not an answer of the runner",
}
"""What the error says; the rest says that the connection dropped."""


@pytest.fixture(params=[*PUSHES, *RUNS, *PULLS])
def injector(request: pytest.FixtureRequest) -> Iterator[Injector]:
    list(transports)
    made = Injector(request.param)
    transports.register("faulty")(made)
    yield made
    del transports._entries["faulty"]


def measure(out: Path) -> LatencyTable:
    return profile(
        TINY, device=PI, runtime="onnxruntime", out=out, passes=2, reps=2, loads=1, networks=(8, 4, 6), max_minutes=0
    )


def test_a_fault_is_told_and_the_same_command_goes_on(
    injector: Injector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    with pytest.raises(DeviceError, match=f"device 'pi'.*{SAYS.get(injector.fault, 'the connection dropped')}"):
        measure(tmp_path / "table")
    assert injector.happened == 1
    assert not (tmp_path / "table.toml").exists()
    assert (tmp_path / "table.partial").exists()
    assert not list(temporary.glob("mnas.*"))
    table = measure(tmp_path / "table")
    assert not (tmp_path / "table.partial").exists()
    assert not list(temporary.glob("mnas.*"))
    assert load_table(tmp_path / "table") == table
    assert set(table.rows) == set(TINY.placements())
    assert not table.failed
    assert (table.samples["wall_ns"] > 0).all()
    assert (table.samples["cpu_ns"] >= 0).all()
    assert set(table.samples.groupby(["unit", "item"]).size()) == {4}
