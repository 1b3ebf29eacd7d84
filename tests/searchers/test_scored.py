"""Searches that score networks instead of training them, and those that then train the best: score many, train few."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mnas.cli.app import run as command
from mnas.errors import ConfigError
from mnas.evaluate import ScoreEvaluator, evaluators
from mnas.ir import Architecture
from mnas.searchers import Objective, Run, api, make_config, search_run
from mnas.searchers.journal import Journal, read_trials
from mnas.searchers.loop import evaluate_finalists, search
from mnas.searchers.reward import make_reward
from mnas.searchers.run import finalists_into, search_into
from mnas.searchers.trial import Trial
from mnas.spaces import space
from tests.searchers.fakes import (
    TARGET_MS,
    MacsLatency,
    ToyEvaluator,
    ToyExecutor,
    quick_searcher,
    toy_accuracy,
    toy_objective,
)
from tests.searchers.test_run import SETTINGS, without_seconds


def squash(score: float) -> float:
    return 1 / (1 + 2 ** (-score / 100))


SCORED = replace(toy_objective(), squash=squash)


def toy_score(architecture: Architecture, seed: int) -> float:
    return 1000 * (toy_accuracy(architecture, seed) - 0.5)


def scored_run(
    folder: Path,
    executor: ToyExecutor | None = None,
    trainer: ToyExecutor | None = None,
    objective: Objective = SCORED,
    **changes: object,
) -> Run:
    """Score, then train the finalists."""
    config = make_config({**SETTINGS, "evaluator": "naswot", **changes})
    searcher = quick_searcher(config.searcher, objective.space, config.seed, objective)
    run = search_into(
        folder, config, objective=objective, searcher=searcher, executor=executor or ToyExecutor(toy_score)
    )
    if not config.finalists:
        return run
    return finalists_into(folder, objective=replace(objective, squash=None), executor=trainer or ToyExecutor())


def test_scores_take_the_place_of_accuracies_in_rewards_only() -> None:
    result = search(SCORED, quick_searcher("random", SCORED.space), ToyExecutor(toy_score), trials=15, batch=4)
    reward = SCORED.reward
    qualities: list[float] = []
    for trial in result.trials:
        assert trial.accuracy is None
        baseline = sum(qualities) / len(qualities) if qualities else 0.1
        quality = baseline if trial.score is None else squash(trial.score)
        assert trial.reward == pytest.approx(reward(quality, trial.latency.ms), abs=1e-12)
        assert (trial.score is None) == (trial.status == "infeasible")
        assert trial.value == trial.score
        if trial.status == "scored":
            assert trial.score == toy_score(trial.architecture, trial.seed)
            qualities.append(quality)
    assert {trial.status for trial in result.trials} == {"scored", "infeasible", "cached"}
    assert len(qualities) == 15


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf")])
def test_scores_are_finite_or_failures(score: float) -> None:
    result = search(SCORED, quick_searcher("random", SCORED.space), ToyExecutor(lambda a, s: score), trials=3)
    assert {trial.status for trial in result.trials} <= {"failed", "infeasible"}
    assert any(f"gave {score}, not a finite score" in str(trial.error) for trial in result.trials)


def test_cut_off_after_any_trial_it_ends_with_the_same_trials(tmp_path: Path) -> None:
    whole = scored_run(tmp_path / "whole")
    journal = (tmp_path / "whole" / "trials.jsonl").read_bytes().splitlines(keepends=True)
    for n in range(0, len(journal), 2):
        folder = tmp_path / str(n)
        folder.mkdir()
        (folder / "trials.jsonl").write_bytes(b"".join(journal[:n]))
        (folder / "config.toml").write_text(whole.config.to_toml())
        assert without_seconds(scored_run(folder)) == without_seconds(whole)


def test_a_run_calls_a_score_by_its_name(tmp_path: Path) -> None:
    run = scored_run(tmp_path / "a")
    assert run.value_name == "naswot"
    assert run.summary().startswith("10 of 10 evaluations; trials: 10 scored")
    assert "trained" not in run.summary()
    best = run.best()
    assert best.score == max(trial.score for trial in run.feasible if trial.score is not None)
    assert [trial.score for trial in run.front()][-1] == max(t.score for t in run.trials if t.score is not None)
    assert json.loads(best.to_json())["accuracy"] is None
    assert scored_run(tmp_path / "b", evaluator_options={"score": "synflow"}).value_name == "synflow"


def test_finalists_are_the_best_and_are_trained(tmp_path: Path) -> None:
    trainer = ToyExecutor()
    run = scored_run(tmp_path, trainer=trainer, trials=20, finalists=5)
    scored = {trial.architecture: trial for trial in run.trials if trial.status == "scored"}
    best = sorted(scored.values(), key=lambda trial: -trial.reward)[:5]
    assert [trial.architecture for trial in run.finalists] == [trial.architecture for trial in best]
    assert trainer.jobs == [(trial.architecture, trial.seed) for trial in best]
    assert {trial.status for trial in run.finalists} == {"trained"}
    assert all(t.accuracy == toy_accuracy(t.architecture, t.seed) and t.score is None for t in run.finalists)
    assert [trial.index for trial in run.finalists] == list(range(5))
    assert run.best().accuracy == max(trial.accuracy or 0 for trial in run.finalists)
    assert set(run.front()) <= set(run.finalists)
    assert run.value_name == "accuracy"
    assert run.summary().endswith("; 5 finalists")
    assert run == Run.open(tmp_path)


def test_infeasible_networks_are_no_finalists(tmp_path: Path) -> None:
    objective = replace(SCORED, train_infeasible=True)
    run = scored_run(tmp_path, objective=objective, trials=25, finalists=25, train_infeasible=True, searcher="random")
    assert any(trial.latency.high_ms > TARGET_MS for trial in run.trials)
    assert 0 < len(run.finalists) < 25
    assert all(trial.latency.high_ms <= TARGET_MS for trial in run.finalists)


def stopping(after: int) -> Callable[[Architecture, int], float]:
    """Trains `after` networks, then stops the process, so to say."""
    left = iter(range(after))

    def train(architecture: Architecture, seed: int) -> float:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return toy_accuracy(architecture, seed)

    return train


@pytest.mark.parametrize("after", [0, 1, 3])
def test_interrupted_finalists_are_not_trained_again(tmp_path: Path, after: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        scored_run(tmp_path / "run", trainer=ToyExecutor(stopping(after)), finalists=4)
    assert len(read_trials(tmp_path / "run" / "finalists.jsonl")) == after
    scorer, trainer = ToyExecutor(toy_score), ToyExecutor()
    resumed = scored_run(tmp_path / "run", scorer, trainer, finalists=4)
    assert (len(scorer.jobs), len(trainer.jobs)) == (0, 4 - after)
    whole = scored_run(tmp_path / "whole", finalists=4)
    assert [replace(t, seconds=0.0) for t in resumed.finalists] == [replace(t, seconds=0.0) for t in whole.finalists]


@pytest.mark.slow
def test_more_finalists_and_more_trials_keep_what_was_trained(tmp_path: Path) -> None:
    few = scored_run(tmp_path, finalists=2)
    more, longer = ToyExecutor(), ToyExecutor()
    assert scored_run(tmp_path, trainer=more, finalists=4).finalists[:2] == few.finalists
    assert len(more.jobs) == 2
    run = scored_run(tmp_path, trainer=longer, trials=20, finalists=4)
    known = {trial.architecture for trial in run.finalists[:4]}
    assert not known & {architecture for architecture, _ in longer.jobs}
    assert len(run.finalists) == 4 + len(longer.jobs)
    direct = scored_run(tmp_path.with_name("direct"), trials=20, finalists=4)
    assert run.summary() == direct.summary()
    assert [trial.architecture for trial in run.front()] == [trial.architecture for trial in direct.front()]
    assert run.best().architecture == direct.best().architecture
    with pytest.raises(ConfigError, match=r"finalists \(4 there, 3 here\)"):
        scored_run(tmp_path, trials=20, finalists=3)
    with pytest.raises(ConfigError, match=r"finalists_options .*use another folder"):
        scored_run(tmp_path, trials=20, finalists=4, finalists_options={"epochs": 3})


def test_finalists_that_fail_leave_the_answer_to_the_others(tmp_path: Path) -> None:
    def unlucky(architecture: Architecture, seed: int) -> float | None:
        return None if seed % 2 else toy_accuracy(architecture, seed)

    run = scored_run(tmp_path / "some", trainer=ToyExecutor(unlucky), trials=20, finalists=8)
    assert {trial.status for trial in run.finalists} == {"trained", "failed"}
    assert run.best().accuracy is not None
    run = scored_run(tmp_path / "none", trainer=ToyExecutor(lambda a, s: None), finalists=2)
    assert {trial.status for trial in run.finalists} == {"failed"}
    assert run.best().score is not None
    assert run.value_name == "naswot"
    assert run.summary().endswith("; 2 finalists, 2 of them failed (RuntimeError: out of luck)")


def test_spellings_that_are_one_network_to_the_trainer_are_one_finalist(tmp_path: Path) -> None:
    """As after a search of a table of results, whose cells are told apart by their spelling."""
    cells = space("nasbench201")
    spelled = Objective(cells, MacsLatency(), make_reward("asymmetric", 1e9), 1e9, spellings=True)
    trainer = replace(spelled, spellings=False)
    one, other, third = (1, 3, 1, 1, 1, 2), (1, 1, 3, 1, 1, 2), (3, 3, 3, 3, 3, 3)
    assert trainer.network(one) == trainer.network(other)
    assert spelled.network(one) != spelled.network(other)
    networks = {encoding: spelled.network(encoding) for encoding in (one, other, third)}
    trials = [
        Trial(i, encoding, network, 0.9 - i / 10, spelled.price(network), 0.9 - i / 10, i, "trained")
        for i, (encoding, network) in enumerate(networks.items())
    ]
    for _ in range(2):
        with Journal(tmp_path / "finalists.jsonl") as journal:
            found = evaluate_finalists(trials, trainer, ToyExecutor(), finalists=2, journal=journal)
        assert [trial.encoding for trial in found] == [one, third]


def test_progress_sees_every_finalist(tmp_path: Path) -> None:
    run = scored_run(tmp_path)
    for _ in range(2):
        seen: list[Trial] = []
        found = evaluate_finalists(run.trials, toy_objective(), ToyExecutor(), finalists=3, progress=seen.append)
        assert tuple(seen) == found
        assert len(found) == 3


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Settings of a search that scores; a toy trains and a latency model stands for every table."""
    list(evaluators)
    monkeypatch.setitem(evaluators._entries, "toy", ToyEvaluator)
    monkeypatch.setattr(api, "load_table", lambda name: MacsLatency())
    return {
        "space": "mnasnet-small", "data": "digits", "table": "fast", "target_ms": 1.0, "workers": 0, "trials": 6,
        "searcher": "random", "evaluator": "naswot", "evaluator_options": {"images": 16}, "finalists": 2,
        "finalists_evaluator": "toy",
    }  # fmt: skip


def test_a_search_by_naswot_trains_the_best(plugged: dict[str, Any], tmp_path: Path) -> None:
    notes: list[str] = []
    run = search_run(make_config(plugged), tmp_path, progress=lambda done, total, note: notes.append(note))
    evaluator = ScoreEvaluator("digits", images=16)
    for trial in run.trials:
        if trial.status == "scored":
            assert trial.score == evaluator(trial.architecture, trial.seed)
            assert trial.reward == evaluator.squash(trial.score)
    assert any("  score " in note for note in notes[:-2])
    assert all("  acc " in note for note in notes[-2:])
    assert len(run.finalists) == 2
    assert run.best().accuracy == max(toy_accuracy(t.architecture, t.seed) for t in run.finalists)


def test_what_is_wrong_with_finalists_is_noticed_first(plugged: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="evaluator 'toy' has no option 'luck'"):
        search_run(make_config({**plugged, "finalists_options": {"luck": 1}}), tmp_path / "run")
    with pytest.raises(ConfigError, match="evaluator 'naswot' has no option 'picture'; known: score"):
        search_run(make_config({**plugged, "evaluator_options": {"picture": 1}}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_command_line_names_the_score(
    plugged: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Named(MacsLatency):
        name, verdict = "fast", "valid"

        def summary(self) -> str:
            return "a toy"

    monkeypatch.setattr("mnas.latency.load_table", lambda name: Named())
    arguments = [
        "search", "--space", "mnasnet-small", "--data", "digits", "--table", "fast", "--target-ms", "1", "--searcher",
        "random", "--evaluator", "naswot", "--set", "evaluator_options.images=16", "--workers", "0", "--trials", "4",
        "-q", "--run", str(tmp_path),
    ]  # fmt: skip
    assert command(arguments) == 0
    shown = capsys.readouterr().out
    assert "naswot" in shown
    assert "accuracy" not in shown
    assert command([*arguments, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["value"] == "naswot"
    assert document["best"]["accuracy"] is None
    assert document["best"]["score"] > 0
    assert document["trials"]["scored"] == 4
    more = ["--finalists", "2", "--set", "finalists_evaluator=toy", "--json"]
    assert command([*arguments, *more]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["value"] == "accuracy"
    assert document["best"]["accuracy"] > 0
