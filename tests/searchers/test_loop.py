from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnas.errors import CheckError, ConfigError, FormatError
from mnas.ir import Architecture
from mnas.latency import Estimate
from mnas.searchers import tally
from mnas.searchers.journal import Journal, read_trials
from mnas.searchers.loop import SearchResult, evaluation_seed, search
from mnas.searchers.reward import make_reward
from mnas.searchers.trial import Trial
from mnas.spaces import Encoding
from tests.searchers.fakes import (
    INSTALLED,
    SEARCHERS,
    TARGET_MS,
    ToyExecutor,
    ToyLatency,
    ToySpace,
    quick_searcher,
    toy_accuracy,
    toy_objective,
)

SPACE = ToySpace()


def unlucky(architecture: Architecture, seed: int) -> float | None:
    """Every sixth evaluation or so fails."""
    return None if seed % 6 == 0 else toy_accuracy(architecture, seed)


def run(
    name: str = "evolution",
    trials: int = 12,
    *,
    executor: ToyExecutor | None = None,
    path: Path | None = None,
    seed: int = 0,
    batch: int = 4,
    space: ToySpace = SPACE,
    train_infeasible: bool = False,
    latency: ToyLatency | None = None,
    progress: Callable[[Trial], None] | None = None,
) -> SearchResult:
    journal = Journal(path) if path else None
    objective = toy_objective(space, latency=latency, train_infeasible=train_infeasible)
    try:
        return search(
            objective,
            quick_searcher(name, space, seed, objective),
            executor or ToyExecutor(unlucky),
            trials=trials,
            batch=batch,
            seed=seed,
            journal=journal,
            progress=progress,
        )
    finally:
        if journal:
            journal.close()


@pytest.mark.parametrize("name", SEARCHERS)
def test_a_search_keeps_the_rules_of_every_status(name: str) -> None:
    executor = ToyExecutor(unlucky)
    result = run(name, executor=executor)
    reward, chance = make_reward("asymmetric", TARGET_MS), 1 / SPACE.classes
    accuracies: list[float] = []
    evaluated: dict[Architecture, Trial] = {}
    for i, trial in enumerate(result.trials):
        assert trial.index == i
        assert trial.architecture == SPACE.decode(trial.encoding).canonical()
        assert trial.latency == ToyLatency().predict(trial.architecture)
        assert trial.seed == evaluation_seed(0, str(trial.architecture))
        assert (trial.latency.high_ms > TARGET_MS) == (trial.status == "infeasible")
        before = evaluated.get(trial.architecture)
        baseline = sum(accuracies) / len(accuracies) if accuracies else chance
        assert trial.reward == reward(baseline if trial.accuracy is None else trial.accuracy, trial.latency.ms)
        match trial.status:
            case "trained":
                assert before is None
                assert trial.accuracy == unlucky(trial.architecture, trial.seed)
                assert trial.accuracy is not None
                accuracies.append(trial.accuracy)
                assert trial.seconds == 0.25
            case "cached":
                assert before is not None
                assert (trial.accuracy, trial.seconds) == (before.accuracy, 0)
            case "failed":
                assert unlucky(trial.architecture, trial.seed) is None
                assert trial.error == "RuntimeError: out of luck"
            case _:
                assert (trial.accuracy, trial.error, trial.seconds) == (None, None, 0)
        if trial.status != "infeasible":
            evaluated.setdefault(trial.architecture, trial)
    met = {trial.status for trial in result.trials}
    assert "trained" in met
    if name == "random":
        assert met == {"trained", "cached", "infeasible", "failed"}
    if name == "surrogate":
        assert "infeasible" not in met
    assert not result.exhausted
    assert len(evaluated) == 12
    assert executor.jobs == [(trial.architecture, trial.seed) for trial in evaluated.values()]


def test_rewards_are_told_once_a_batch_in_the_order_asked() -> None:
    searcher = quick_searcher("random", SPACE)
    told: list[tuple[Encoding, float]] = []
    sizes: list[int] = []

    class Spy:
        def ask(self, n: int) -> list[Encoding]:
            return searcher.ask(n)

        def tell(self, encodings: Sequence[Encoding], rewards: Sequence[float]) -> None:
            searcher.tell(encodings, rewards)
            sizes.append(len(encodings))
            told.extend(zip(encodings, rewards, strict=True))

    result = search(toy_objective(reward="hard"), Spy(), ToyExecutor(), trials=9, batch=4)
    assert told == [(trial.encoding, trial.reward) for trial in result.trials]
    assert set(sizes[:-1]) == {4}


@pytest.fixture(scope="module")
def whole() -> dict[str, tuple[list[bytes], tuple[Trial, ...]]]:
    """Of every searcher, the lines of the journal of an uninterrupted search, and its trials."""
    out = {}
    for name in INSTALLED:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trials.jsonl"
            trials = run(name, path=path).trials
            assert read_trials(path) == trials
            out[name] = path.read_bytes().splitlines(keepends=True), trials
    return out


def resume(name: str, data: bytes, executor: ToyExecutor) -> tuple[Trial, ...]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trials.jsonl"
        path.write_bytes(data)
        trials = run(name, path=path, executor=executor).trials
        assert read_trials(path) == trials
    return trials


@pytest.mark.parametrize("name", SEARCHERS)
def test_cut_off_between_trials_it_ends_with_the_same_trials(
    name: str, whole: dict[str, tuple[list[bytes], tuple[Trial, ...]]]
) -> None:
    lines, trials = whole[name]
    for n in range(0, len(lines) + 1, 3):  # at every place of a batch of 4
        executor = ToyExecutor(unlucky)
        assert resume(name, b"".join(lines[:n]), executor) == trials
        known = {trial.architecture for trial in trials[:n]}
        assert not known & {architecture for architecture, _ in executor.jobs}


@given(name=st.sampled_from(INSTALLED), share=st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_cut_off_at_any_byte_it_ends_with_the_same_trials(
    whole: dict[str, tuple[list[bytes], tuple[Trial, ...]]], name: str, share: float
) -> None:
    lines, trials = whole[name]
    data = b"".join(lines)
    assert resume(name, data[: int(share * len(data))], ToyExecutor(unlucky)) == trials


@pytest.mark.parametrize("name", SEARCHERS)
def test_a_longer_search_continues_a_shorter_one(name: str, tmp_path: Path) -> None:
    longest = run(name, 12).trials
    for trials in range(1, 13):
        got = run(name, trials, path=tmp_path / "trials.jsonl").trials
        assert got == longest[: len(got)]
        assert len({t.architecture for t in got if t.status != "infeasible"}) == trials


def test_the_executor_may_finish_before_the_journal_is_cut(tmp_path: Path) -> None:
    """What a batch had finished when the process stopped is in the journal, up to the one it was working on."""

    class StoppedError(Exception):
        pass

    count = itertools.count()

    def stops(architecture: Architecture, seed: int) -> float:
        if next(count) == 5:
            raise StoppedError
        return toy_accuracy(architecture, seed)

    path = tmp_path / "trials.jsonl"
    with pytest.raises(StoppedError):
        run(path=path, executor=ToyExecutor(stops))
    assert sum(trial.status == "trained" for trial in read_trials(path)) == 5
    executor = ToyExecutor()
    assert run(path=path, executor=executor).trials == run(executor=ToyExecutor()).trials
    assert len(executor.jobs) == 12 - 5


def test_progress_sees_every_trial_also_replayed_ones(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    first = run(trials=5, path=path).trials
    seen: list[Trial] = []
    assert run(path=path, progress=seen.append).trials == tuple(seen)
    assert tuple(seen[: len(first)]) == first


def test_seeds_belong_to_networks() -> None:
    """Not to the order in which they are met; and another search has others."""
    by_network = [{t.architecture: t.accuracy for t in run(name).trials} for name in ("random", "evolution")]
    common = by_network[0].keys() & by_network[1].keys()
    assert common
    assert all(by_network[0][network] == by_network[1][network] for network in common)
    assert evaluation_seed(0, "a") != evaluation_seed(1, "a")
    assert evaluation_seed(0, "input 3x8x8\nhead_c8") == 2434618819


def test_infeasible_networks_are_trained_when_asked() -> None:
    result = run("random", train_infeasible=True, executor=ToyExecutor())
    over = [trial for trial in result.trials if trial.latency.high_ms > TARGET_MS]
    assert over
    assert {trial.status for trial in over} <= {"trained", "cached"}


@pytest.mark.parametrize("accuracy", [math.nan, math.inf, -0.1, 1.5])
def test_what_is_not_an_accuracy_is_a_failure(accuracy: float) -> None:
    result = run("reinforce", executor=ToyExecutor(lambda architecture, seed: accuracy))
    assert {trial.status for trial in result.trials} == {"failed", "infeasible"}
    assert any(f"gave {accuracy}, not an accuracy" in str(trial.error) for trial in result.trials)
    assert len({trial.architecture for trial in result.trials if trial.status == "failed"}) == 12


def test_a_space_that_is_used_up_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "PATIENCE", 30)
    result = run("random", 100, space=ToySpace((2, 2, 2)), executor=ToyExecutor())
    assert result.exhausted
    assert len({trial.architecture for trial in result.trials}) == 4
    assert [trial.status for trial in result.trials].count("trained") == 4
    assert run("random", 100, space=ToySpace((1, 1)), executor=ToyExecutor()).exhausted


def test_a_target_that_nothing_meets_stops_before_training() -> None:
    executor = ToyExecutor()
    with pytest.raises(CheckError, match=r"0\.352 ms"):
        search(toy_objective(target_ms=0.2), quick_searcher("random", SPACE), executor, trials=5)
    assert not executor.jobs


def test_settings_out_of_range() -> None:
    with pytest.raises(ConfigError, match="at least 1, got 0 and 4"):
        run(trials=0)
    with pytest.raises(ConfigError, match="at least 1, got 12 and 0"):
        run(batch=0)


def test_the_journal_of_another_search_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trials.jsonl"
    run("evolution", path=path)
    for other in ({"seed": 1}, {"batch": 5}, {"name": "reinforce"}):
        with pytest.raises(FormatError, match=r"of the journal is .* but this search asks .* start a new run"):
            run(path=path, **other)


def test_a_table_that_changed_is_noticed(tmp_path: Path) -> None:
    class Slower(ToyLatency):
        def predict(self, architecture: Architecture) -> Estimate:
            before = super().predict(architecture)
            return before._replace(ms=1.01 * before.ms)

    path = tmp_path / "trials.jsonl"
    run(path=path)
    with pytest.raises(ConfigError, match="the table has changed"):
        run(path=path, latency=Slower())


def test_trials_differ_in_seconds_only(tmp_path: Path) -> None:
    slow = run(executor=ToyExecutor(unlucky, pause=0.001)).trials
    assert [replace(trial, seconds=0.0) for trial in slow] == [replace(trial, seconds=0.0) for trial in run().trials]
