"""A board from the command line: a table, a prediction, a measurement of a file; and what its times are not for."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mnas.cli.app import run
from mnas.devices import device
from mnas.latency import load_table
from mnas.lower import initial_weights, lower
from mnas.runtimes import Plan, runtimes
from tests.boards.sshd import Sshd
from tests.devices.processes import until
from tests.latency.fakes import TINY

pytestmark = [pytest.mark.board, pytest.mark.slow, pytest.mark.usefixtures("tiny_space")]
Verb = Callable[..., dict[str, Any]]


@pytest.fixture
def verb(capsys: pytest.CaptureFixture[str]) -> Verb:
    """Run a verb that is to end well; what it prints for scripts."""

    def call(*arguments: str) -> dict[str, Any]:
        code = run([*arguments, "--json", "-q"])
        printed = capsys.readouterr()
        assert code == 0, printed.err
        return dict(json.loads(printed.out))

    return call


PROFILE = ("profile", "--space", "tiny", "--device", "board", "--max-minutes", "0", "-o", "table", "--runtime")


@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
def test_from_the_board_to_a_table_and_what_it_is_for(
    board: Sshd, verb: Verb, capsys: pytest.CaptureFixture[str], tmp_path: Path, runtime: str
) -> None:
    if runtime == "litert":
        _cut_power_once(board, tmp_path / "table.partial" / "unit-000.csv.gz", capsys)
    document = verb(*PROFILE, runtime)
    assert (document["rows"], document["failed"], document["verdict"]) == (len(set(TINY.placements())), 0, "invalid")
    assert "emulated" in document["remedy"]
    table = load_table("table")
    assert table.conditions.emulated
    assert (table.conditions.device, table.conditions.runtime) == ("board", runtime)
    assert (table.facts["machine"], table.facts["cpu_model"]) == ("aarch64", "Emulated Test Board")
    assert (table.samples["wall_ns"] > 0).all()

    network = TINY.decode((0,) * len(TINY.choices))
    Path("network.txt").write_text(str(network))
    assert verb("predict", "network.txt", "--table", "table")["coverage"] == 1.0
    model = Path(f"network{runtimes[runtime].suffix}")
    model.write_bytes(lower(network, initial_weights(network), runtimes[runtime].format))
    measured = verb("bench", str(model), "--device", "board")["results"][0]
    assert measured["median_ms"] > 0
    assert measured["conditions"] == table.conditions.to_dict()
    _check_refused(capsys)
    assert not list((board.folder / "tmp").glob("mnas.*"))  # every work folder is gone


def _cut_power_once(board: Sshd, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Have the board go off after the first process, and come up again once the error was told."""

    def cut() -> None:
        until(finished.exists, 300)
        board.stop()

    waiting = threading.Thread(target=cut)
    waiting.start()
    code = run([*PROFILE, "litert", "-q"])
    waiting.join()
    assert (code, "device 'board'" in capsys.readouterr().err) == (3, True)
    assert finished.exists()
    for left in (board.folder / "tmp").iterdir():
        shutil.rmtree(left)
    board.start()


def _check_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Its times are no ground for decisions."""
    search = ("--space", "tiny", "--data", "digits", "--target-ms", "9", "--trials", "1", "--run", "run")
    for arguments in (
        ("tables", "merge", "table", "table", "-o", "both"),
        ("tables", "transfer", "--from", "table", "--to", "local", "-o", "made"),
        ("search", "--table", "table", *search),
    ):
        assert run([*arguments, "-q"]) == 4
        assert "'table' was measured on an emulated processor (device board)" in capsys.readouterr().err
    assert run(["tables", "validate", "table", "-q"]) == 4
    assert "the processor was emulated" in capsys.readouterr().out
    assert not {"both.toml", "made.toml", "run"} & {path.name for path in Path().iterdir()}


def test_an_emulated_board_must_say_so(board: Sshd, capsys: pytest.CaptureFixture[str]) -> None:
    file = Path("devices") / "board.toml"
    file.write_text(file.read_text().replace("emulated = true", "emulated = false"))
    assert run([*PROFILE, "litert", "-q"]) == 3
    assert "device 'board' is emulated by /usr/bin/qemu-aarch64-static" in capsys.readouterr().err


@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
def test_outputs_are_those_of_this_host(board: Sshd, tmp_path: Path, runtime: str) -> None:
    chosen, models = runtimes[runtime], {}
    for i, placement in enumerate([*TINY.placements()][::8]):
        models[str(placement)] = tmp_path / f"{i}{chosen.suffix}"
        models[str(placement)].write_bytes(lower(placement, initial_weights(placement, i), chosen.format))
    broken = tmp_path / f"broken{chosen.suffix}"
    broken.write_bytes(b"TFL3" * 64)
    plan = Plan(passes=1, reps=1)
    there, here = (chosen.measure(device(name), {**models, "broken": broken}, plan) for name in ("board", "local"))
    assert set(there.failed) == set(here.failed) == {"broken"}
    assert there.checksums == pytest.approx(here.checksums, rel=1e-4)
    assert set(there.samples["item"]) == set(models)
    assert there.conditions.emulated
    assert there.conditions.runtime_version == here.conditions.runtime_version
