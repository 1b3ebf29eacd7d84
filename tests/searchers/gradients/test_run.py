"""A search by gradients as a run: its one trial, its files, and going on with it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import mnas
from mnas.errors import CheckError, ConfigError
from mnas.evaluate import evaluators
from mnas.latency import LatencyTable
from mnas.searchers import DartsSettings, Run, darts
from mnas.searchers.trial import Trial
from tests.searchers.fakes import ToyEvaluator
from tests.searchers.gradients.spaces import DIGITS

OPTIONS = {"epochs": 2, "images": 64, "batch": 16, "alpha_lr": 0.05}


@pytest.fixture(autouse=True)
def plugged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A toy evaluator."""
    list(evaluators)
    monkeypatch.setitem(evaluators._entries, "toy", ToyEvaluator)


def given(table: LatencyTable, run: Path, **more: Any) -> dict[str, Any]:
    return {
        "space": DIGITS, "data": "digits", "table": table, "target_ms": 0.1, "searcher": "darts", "workers": 0,
        "searcher_options": OPTIONS, "evaluator": "toy", "run": run, **more,
    }  # fmt: skip


def without_seconds(run: Run) -> list[Trial]:
    return [replace(trial, seconds=0.0) for trial in run.trials]


@pytest.mark.slow
def test_the_network_found_is_the_runs_trial(tmp_path: Path, digits_table: LatencyTable) -> None:
    seen: list[tuple[int, int, str]] = []
    run = mnas.search(**given(digits_table, tmp_path / "run"), progress=lambda *each: seen.append(each))
    found = darts(DIGITS, "digits", table=digits_table, target_ms=0.1, settings=DartsSettings(**OPTIONS))  # type: ignore[arg-type]
    assert [trial.encoding for trial in run.trials] == [found]
    best = run.best()
    assert best.architecture == DIGITS.decode(found).canonical()
    assert best.status == "trained"
    assert best.latency.high_ms <= 0.1
    assert run.config.trials == run.config.batch == run.evaluations == 1
    assert run.config.searcher == "darts"
    assert not run.exhausted
    assert {path.name for path in run.folder.iterdir()} >= {"config.toml", "env.json", "trials.jsonl", "darts.pt"}
    assert len((run.folder / "darts.jsonl").read_text().splitlines()) == 2
    assert [done for done, _, _ in seen] == [1, 2, 3, 4, 1]
    assert without_seconds(mnas.search(**given(digits_table, tmp_path / "run"))) == without_seconds(run)


@pytest.mark.slow
def test_a_run_that_was_cut_off_goes_on_to_the_same_trial(tmp_path: Path, digits_table: LatencyTable) -> None:
    class Stop(Exception):  # noqa: N818 (no error)
        pass

    def stop(done: int, total: int, note: str) -> None:
        if done == 3:
            raise Stop

    with pytest.raises(Stop):
        mnas.search(**given(digits_table, tmp_path / "cut"), progress=stop)
    cut = Run.open(tmp_path / "cut")
    assert cut.trials == ()
    assert len((cut.folder / "darts.jsonl").read_text().splitlines()) == 1
    whole = mnas.search(**given(digits_table, tmp_path / "whole"))
    assert without_seconds(mnas.search(**given(digits_table, tmp_path / "cut"))) == without_seconds(whole)
    with pytest.raises(ConfigError, match=r"search of other settings: seed"):
        mnas.search(**given(digits_table, tmp_path / "cut"), seed=3)


@pytest.mark.slow
def test_a_network_over_the_target_is_not_the_answer(tmp_path: Path, digits_table: LatencyTable) -> None:
    fastest = min(digits_table.predict(DIGITS.decode((a, 0, 0, 0, b, *[c, 0, 0, 0, d]))).high_ms
        for a in range(4) for b in range(3) for c in range(4) for d in range(3))  # fmt: skip
    tight = {"target_ms": 1.0001 * fastest, "searcher_options": {**OPTIONS, "land": False}}
    run = mnas.search(**given(digits_table, tmp_path, **tight))
    assert [trial.status for trial in run.trials] == ["trained"]
    with pytest.raises(CheckError, match=r"no .* network within"):
        run.best()


def test_wrong_settings(tmp_path: Path, digits_table: LatencyTable) -> None:
    for options, message in (
        ({"order": "third"}, "searcher 'darts': order must be one of first, second"),
        ({"lambda": 1.0}, r"searcher 'darts' has no option 'lambda'; known: .*latency_weight \(default 0.0\)"),
        ({"batch": 1}, "batch must be at least 2"),
    ):
        with pytest.raises(ConfigError, match=message):
            mnas.search(**given(digits_table, tmp_path / "run", searcher_options=options))
    assert not (tmp_path / "run").exists()


def test_settings_are_in_the_runs_configuration(tmp_path: Path, digits_table: LatencyTable) -> None:
    run = mnas.search(**given(digits_table, tmp_path))
    assert run.config.searcher_options == OPTIONS
    checkpoint = json.loads((tmp_path / "darts.jsonl").read_text().splitlines()[0])
    assert checkpoint["epoch"] == 1
