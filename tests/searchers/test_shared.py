"""Searches by weights that all networks share."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import mnas
from mnas.cli.app import run as command
from mnas.errors import CheckError, ConfigError
from mnas.evaluate.oneshot import evaluator as oneshot
from mnas.evaluate.oneshot import training
from mnas.searchers import Run, api, make_config, search_run
from mnas.searchers.trial import Trial
from mnas.spaces import spaces
from tests.searchers.fakes import MacsLatency
from tests.searchers.gradients.spaces import DIGITS

OPTIONS = {"images": 48, "epochs": 1, "batch": 16, "validation": 50}
GIVEN: dict[str, Any] = {
    "space": "chain", "data": "digits", "table": "fast", "target_ms": 1.0, "workers": 0, "trials": 4, "batch": 2,
    "searcher": "random", "evaluator": "supernet", "evaluator_options": OPTIONS, "seed": 3,
}  # fmt: skip


class Stop(Exception):  # noqa: N818 (no error)
    pass


@pytest.fixture(autouse=True)
def plugged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small space, a latency model in place of every table; the weights are saved after every step."""
    list(spaces)
    monkeypatch.setitem(spaces._entries, "chain", lambda **_: DIGITS)
    monkeypatch.setattr(api, "load_table", lambda name: MacsLatency())
    monkeypatch.setattr(training, "SAVE_SECONDS", 0.0)


def without_seconds(run: Run) -> list[Trial]:
    return [replace(trial, seconds=0.0) for trial in run.trials]


def test_weights_are_trained_before_the_first_trial(tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    run = search_run(make_config(GIVEN), tmp_path, progress=lambda *each: seen.append(each))
    assert [(done, total) for done, total, note in seen if "shared weights" in note] == [(1, 3), (2, 3), (3, 3)]
    assert seen[3][:2] == (1, 4)
    assert seen[-1][:2] == (4, 4)
    assert len(seen) == 3 + len(run.trials)
    evaluator = oneshot.SupernetEvaluator(
        "chain",
        "digits",
        seed=3,
        weights=str(tmp_path / "supernet.pt"),
        **OPTIONS,  # type: ignore[arg-type]
    )
    for trial in run.trials:
        assert trial.status in ("trained", "cached")
        assert trial.accuracy == evaluator(trial.architecture, 0)
    assert run.config.reward == "absolute"
    best = run.best()
    assert best.accuracy is not None
    assert best.reward == pytest.approx(best.accuracy - 0.07 * abs(best.latency.ms - 1))


def test_the_reward_can_be_chosen_and_is_the_evaluators_otherwise(tmp_path: Path) -> None:
    run = search_run(make_config({**GIVEN, "reward": "asymmetric", "trials": 1}), tmp_path / "a")
    assert run.config.reward == "asymmetric"
    run = search_run(
        make_config({**GIVEN, "evaluator": "naswot", "evaluator_options": {}, "trials": 1}), tmp_path / "b"
    )
    assert run.config.reward == "asymmetric"


@pytest.mark.slow
@pytest.mark.parametrize("at", [0, 2, 4, 5])
def test_a_search_stopped_anywhere_goes_on_to_the_same_trials(tmp_path: Path, at: int) -> None:
    calls: list[int] = []

    def stop(done: int, total: int, note: str) -> None:
        calls.append(done)
        if len(calls) == at + 1:
            raise Stop

    whole = search_run(make_config(GIVEN), tmp_path / "whole")
    with pytest.raises(Stop):
        search_run(make_config(GIVEN), tmp_path / "cut", progress=stop)
    run = search_run(make_config(GIVEN), tmp_path / "cut")
    assert without_seconds(run) == without_seconds(whole)
    assert (run.folder / "supernet.pt").read_bytes() == (whole.folder / "supernet.pt").read_bytes()


def test_what_is_wrong_is_noticed_before_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = search_run(make_config(GIVEN), tmp_path / "run")
    (run.folder / "supernet.pt").unlink()
    monkeypatch.setattr(oneshot, "train_supernet", None)
    with pytest.raises(ConfigError, match="search of other settings: evaluator_options"):
        search_run(make_config({**GIVEN, "evaluator_options": {**OPTIONS, "epochs": 2}}), run.folder)
    with pytest.raises(CheckError, match="no network"):
        search_run(make_config({**GIVEN, "target_ms": 1e-6}), tmp_path / "tight")
    with pytest.raises(ConfigError, match=r"evaluator 'supernet' has no option 'steps'; known: weights .*op_warmup"):
        search_run(make_config({**GIVEN, "evaluator_options": {"steps": 5}}), tmp_path / "other")
    with pytest.raises(ConfigError, match="cannot share weights"):
        search_run(make_config({**GIVEN, "space": "nasbench201"}), tmp_path / "other")
    with pytest.raises(ConfigError, match="evaluator 'supernet' needs data"):
        search_run(make_config({**GIVEN, "data": None}), tmp_path / "other")
    assert not (tmp_path / "other").exists()
    assert without_seconds(search_run(make_config(GIVEN), run.folder)) == without_seconds(run)  # it is over


def test_weights_of_another_run_train_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = search_run(make_config(GIVEN), tmp_path / "first")
    monkeypatch.setattr(oneshot, "train_supernet", None)
    given = {**OPTIONS, "weights": str(first.folder / "supernet.pt")}
    second = search_run(make_config({**GIVEN, "evaluator_options": given}), tmp_path / "second")
    assert without_seconds(second) == without_seconds(first)


def test_finalists_can_be_judged_by_shared_weights_too(tmp_path: Path) -> None:
    scored = {
        **GIVEN, "evaluator": "naswot", "evaluator_options": {"images": 16}, "finalists": 2,
        "finalists_evaluator": "supernet", "finalists_options": OPTIONS,
    }  # fmt: skip
    run = search_run(make_config(scored), tmp_path)
    assert len(run.finalists) == 2
    assert (run.folder / "finalists" / "supernet.pt").exists()


@pytest.mark.slow
@pytest.mark.parametrize("searcher", ["reinforce", "surrogate", "evolution"])
def test_every_searcher_works_by_the_command_line_and_worker_processes(
    tmp_path: Path, searcher: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Named(MacsLatency):
        name, verdict = "fast", "valid"

        def summary(self) -> str:
            return "a toy"

    monkeypatch.setattr("mnas.latency.load_table", lambda name: Named())
    options = [part for key, value in OPTIONS.items() for part in ("--set", f"evaluator_options.{key}={value}")]
    arguments = [
        "search", "--space", "mnasnet-small", "--data", "digits", "--table", "fast", "--target-ms", "1", "--searcher",
        searcher, "--evaluator", "supernet", *options, "--workers", "1", "--trials", "3", "--run", str(tmp_path),
    ]  # fmt: skip
    assert command([*arguments, "--json"]) == 0
    shown = capsys.readouterr()
    assert "shared weights" in shown.err
    document = json.loads(shown.out)
    assert document["value"] == "accuracy"
    assert 0 < document["best"]["accuracy"] <= 1
    assert command(["search", "--resume", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["best"] == document["best"]
    trained = mnas.train(Run.open(tmp_path).best().architecture, data="digits", epochs=1, seed=0)
    assert trained.test_accuracy is not None
