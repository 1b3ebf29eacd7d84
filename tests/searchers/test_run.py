from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mnas.errors import CheckError, ConfigError, FormatError
from mnas.searchers.config import make_config
from mnas.searchers.run import Run, search_into
from mnas.searchers.trial import Trial
from mnas.spaces import space
from tests.searchers.fakes import ToyExecutor, quick_searcher, toy_objective

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "space": "toy", "data": "none", "table": "none", "target_ms": 0.66, "trials": 10, "batch": 4,
    "searcher": "evolution",
}  # fmt: skip


def toy_run(folder: Path, executor: ToyExecutor | None = None, **changes: object) -> Run:
    config = make_config({**SETTINGS, **changes})
    objective = toy_objective(target_ms=config.target_ms, train_infeasible=config.train_infeasible)
    return search_into(
        folder,
        config,
        objective=objective,
        searcher=quick_searcher(config.searcher, objective.space, config.seed, objective),
        executor=executor or ToyExecutor(),
    )


def without_seconds(run: Run) -> list[Trial]:
    return [replace(trial, seconds=0.0) for trial in run.trials]


def test_a_run_holds_its_settings_environment_and_trials(tmp_path: Path) -> None:
    run = toy_run(tmp_path / "a" / "run")
    assert sorted(each.name for each in run.folder.iterdir()) == ["config.toml", "env.json", "trials.jsonl"]
    again = Run.open(str(run.folder))
    assert again == run
    assert (run.evaluations, run.exhausted) == (10, False)
    environment = json.loads((run.folder / "env.json").read_text())
    assert environment["python"] == sys.version.split()[0]
    assert set(environment["packages"]) == {"mnas", "numpy", "torch"}


def test_best_front_counts_and_summary(tmp_path: Path) -> None:
    run = toy_run(tmp_path, train_infeasible=True, trials=20)
    best = run.best()
    assert best.latency.high_ms <= 0.66
    assert best.reward == max(t.reward for t in run.trials if t.latency.high_ms <= 0.66)
    assert any(t.latency.high_ms > 0.66 for t in run.trials)
    front = run.front()
    assert [t.latency.ms for t in front] == sorted(t.latency.ms for t in front)
    assert max(t.accuracy or 0 for t in run.trials) == front[-1].accuracy
    assert sum(run.counts().values()) == len(run.trials)
    assert run.counts()["trained"] == 20
    assert run.summary().startswith("20 of 20 evaluations; trials: 20 trained, ")


def test_without_a_feasible_network_there_is_no_best(tmp_path: Path) -> None:
    run = toy_run(tmp_path, ToyExecutor(lambda architecture, seed: None))
    with pytest.raises(
        CheckError, match=r"no trained network within 0.66 ms .* first failure: RuntimeError: out of luck"
    ):
        run.best()
    assert run.front() == ()


def test_a_used_up_space_is_told(tmp_path: Path) -> None:
    run = toy_run(tmp_path, trials=1000, searcher="random", batch=1)
    assert run.exhausted
    assert "gave up" in run.summary()
    assert not replace(run, trials=run.trials[:-1]).exhausted
    assert not replace(run, config=run.config.model_copy(update={"trials": run.evaluations})).exhausted


def test_the_space_of_a_run_is_made_again(tmp_path: Path) -> None:
    run = replace(toy_run(tmp_path), config=make_config({**SETTINGS, "space": "mnasnet-small", "classes": 7}))
    assert run.space == space("mnasnet-small", classes=7)


def test_other_settings_are_refused_by_name_and_more_trials_continue(tmp_path: Path) -> None:
    toy_run(tmp_path)
    with pytest.raises(ConfigError, match=r"other settings: seed \(0 there, 1 here\); use another folder"):
        toy_run(tmp_path, seed=1)
    with pytest.raises(ConfigError, match=r"target_ms \(0.66 there, 0.7 here\)"):
        toy_run(tmp_path, target_ms=0.7)
    executor = ToyExecutor()
    longer = toy_run(tmp_path, executor, trials=13, workers=1)
    assert len(executor.jobs) == 3
    assert Run.open(tmp_path).config.trials == 13
    assert without_seconds(longer) == without_seconds(toy_run(tmp_path / "other", trials=13))


def test_a_run_without_trials_takes_other_settings(tmp_path: Path) -> None:
    with pytest.raises(CheckError, match="raise the target"):
        toy_run(tmp_path, target_ms=0.01)
    assert toy_run(tmp_path).evaluations == 10


def test_what_is_not_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a run: it lacks"):
        Run.open(tmp_path)
    toy_run(tmp_path)
    (tmp_path / "config.toml").unlink()
    with pytest.raises(FormatError, match=r"has trials but no config.toml"):
        toy_run(tmp_path)


def test_a_killed_search_continues_to_the_same_trials(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from tests.searchers.fakes import ToyExecutor
from tests.searchers.test_run import toy_run
toy_run(Path({str(tmp_path / "run")!r}), ToyExecutor(pause=0.05))
"""
    journal = tmp_path / "run" / "trials.jsonl"
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) as process:
        deadline = time.monotonic() + 60
        while not (journal.exists() and journal.read_bytes().count(b'"trained"') >= 5):
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    known = sum(trial.status == "trained" for trial in Run.open(tmp_path / "run").trials)
    assert 5 <= known < 10
    executor = ToyExecutor()
    resumed = toy_run(tmp_path / "run", executor)
    assert len(executor.jobs) == 10 - known
    assert without_seconds(resumed) == without_seconds(toy_run(tmp_path / "whole"))
