from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from mnas.errors import ConfigError
from mnas.ir import Architecture
from mnas.searchers import tally
from mnas.searchers.loop import search
from mnas.searchers.objective import Objective
from mnas.searchers.policy import PolicyName
from mnas.searchers.random import RandomSearch
from mnas.searchers.searcher import Searcher
from mnas.searchers.surrogate import Surrogate
from mnas.spaces import Encoding
from tests.searchers.fakes import (
    BranchingSpace,
    ToyExecutor,
    ToySpace,
    every_encoding,
    quick_searcher,
    toy_accuracy,
    toy_objective,
)

TOY = ToySpace((5, 5, 5, 5), twins=False)
AIM = toy_objective(TOY, 1.1)
"""About half of the networks are within the target."""


def separable(encoding: Encoding) -> float:
    """Wider layers are better, the first ones most, and of the last one option is."""
    return 0.3 + 0.01 * float(np.dot(encoding[:3], [4, 3, 2])) + 0.05 * (encoding[-1] == 2)


def accuracies(objective: Objective, of: Callable[[Encoding], float] = separable) -> dict[Architecture, float]:
    every = [tuple(row) for row in every_encoding(objective.space).tolist()]
    return {objective.network(encoding): of(encoding) for encoding in every}


def optimum(objective: Objective) -> float:
    every = [tuple(row) for row in every_encoding(objective.space).tolist()]
    return max(
        float(objective.reward(separable(encoding), prospect.latency_ms))
        for encoding, prospect in zip(every, objective.prospects(every), strict=True)
        if prospect.feasible
    )


def evaluations_to_optimum(searcher: Searcher, objective: Objective, most: int, batch: int = 4) -> int:
    """Number of trainings until a network of the highest reward was trained."""
    known, best = accuracies(objective), optimum(objective)
    executor = ToyExecutor(lambda architecture, seed: known[architecture])
    result = search(objective, searcher, executor, trials=most, batch=batch)
    trained = [trial.reward for trial in result.trials if trial.status == "trained"]
    return next((i for i, reward in enumerate(trained, 1) if reward >= best - 1e-12), most)


def tell(searcher: Searcher, objective: Objective, encodings: Sequence[Encoding]) -> None:
    """What the loop would tell of networks that were trained, or were not for their latency."""
    prospects = objective.prospects(encodings)
    told = [separable(encoding) if each.feasible else 0.5 for encoding, each in zip(encodings, prospects, strict=True)]
    pairs = zip(told, prospects, strict=True)
    searcher.tell(encodings, [float(objective.reward(accuracy, each.latency_ms)) for accuracy, each in pairs])


@pytest.mark.slow
def test_it_finds_the_optimum_in_a_fraction_of_the_evaluations_of_chance() -> None:
    seeds = range(4)
    found = [evaluations_to_optimum(Surrogate(TOY, seed, objective=AIM), AIM, 60) for seed in seeds]
    by_chance = [evaluations_to_optimum(RandomSearch(TOY, seed), AIM, 300) for seed in seeds]
    assert np.mean(found) < 40
    assert np.mean(found) < np.mean(by_chance) / 2


def test_a_policy_that_is_an_lstm_finds_it_too() -> None:
    searcher = Surrogate(TOY, 0, objective=AIM, policy="lstm", steps=4)
    assert evaluations_to_optimum(searcher, AIM, 80, batch=8) < 80


@pytest.mark.parametrize("policy", ["factored", "lstm"])
def test_what_is_known_or_over_the_target_is_not_proposed_while_there_is_something_new(policy: PolicyName) -> None:
    toy = ToySpace((4, 4, 4), twins=False)
    objective = toy_objective(toy, 0.75)
    searcher = Surrogate(toy, 0, objective=objective, policy=policy, steps=4, draws=24, first=8)
    seen: set[Encoding] = set()
    within = sum(each.feasible for each in objective.prospects([tuple(e) for e in every_encoding(toy).tolist()]))
    assert 20 < within < 50
    while len(seen) < 0.6 * within:
        asked = searcher.ask(4)
        assert len(set(asked)) == 4
        assert not set(asked) & seen
        assert all(each.feasible for each in objective.prospects(asked))
        seen |= set(asked)
        tell(searcher, objective, asked)


def test_spellings_of_a_known_network_are_known() -> None:
    """The last choice of the toy decides nothing."""
    toy = ToySpace((3, 3, 3, 2))
    objective = toy_objective(toy, 10.0)
    searcher = quick_searcher("surrogate", toy, 0, objective)
    seen: set[Architecture] = set()
    for _ in range(4):
        networks = [objective.network(encoding) for encoding in searcher.ask(5)]
        assert len(set(networks)) == 5
        assert not set(networks) & seen
        seen |= set(networks)
        tell(searcher, objective, searcher.ask(5))


@pytest.mark.parametrize("toy", [ToySpace((2, 2, 2), twins=False), BranchingSpace((3, 2, 2)), ToySpace((3, 3, 2))])
def test_a_small_space_is_used_up(toy: ToySpace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "PATIENCE", 10)
    objective = toy_objective(toy, 0.6)
    executor = ToyExecutor()
    result = search(objective, quick_searcher("surrogate", toy, 0, objective), executor, trials=100, batch=4)
    every = [tuple(row) for row in every_encoding(toy).tolist()]
    within = {objective.network(e) for e, p in zip(every, objective.prospects(every), strict=True) if p.feasible}
    assert 2 < len(within) < 100
    assert {architecture for architecture, _ in executor.jobs} == within
    assert len(executor.jobs) == len(within)
    assert result.exhausted


def test_it_finds_the_way_to_the_target_where_no_draw_meets_it() -> None:
    """Of 4 ** 16 networks, one in thousands is as small as this."""
    toy = ToySpace((4,) * 16, twins=False)
    objective = toy_objective(toy, 2.1)
    searcher = Surrogate(toy, 0, objective=objective)
    feasible = []
    for _ in range(4):
        asked = searcher.ask(4)
        feasible.append(sum(each.feasible for each in objective.prospects(asked)))
        tell(searcher, objective, asked)
    assert feasible[-1] == 4
    rng = np.random.default_rng(0)
    drawn = [tuple(row) for row in rng.integers(0, 4, (2000, 16)).tolist()]
    assert sum(each.feasible for each in objective.prospects(drawn)) < 4


def test_trials_that_are_all_over_the_target_leave_it_searching() -> None:
    objective = toy_objective(TOY, 0.353)  # the smallest network alone
    searcher = quick_searcher("surrogate", TOY, 0, objective)
    over = [(4, 4, 4, 4), (3, 4, 4, 4), (4, 3, 4, 4), (4, 4, 3, 4)]
    tell(searcher, objective, over)
    assert searcher.ask(3) == searcher.ask(3)
    result = search(objective, quick_searcher("surrogate", TOY, 0, objective), ToyExecutor(), trials=1, batch=8)
    assert [trial.encoding for trial in result.trials if trial.status == "trained"] == [(0, 0, 0, 0)]


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_failed_evaluations_do_not_stop_it(share: float) -> None:
    def unlucky(architecture: Architecture, seed: int) -> float | None:
        return None if seed / 2**32 < share else toy_accuracy(architecture, seed)

    result = search(AIM, quick_searcher("surrogate", TOY, 0, AIM), ToyExecutor(unlucky), trials=24, batch=4)
    assert len(result.trials) == 24
    failed = [trial.status for trial in result.trials].count("failed")
    assert failed > 1
    assert (failed == 24) == (share == 1)


def test_the_first_trials_are_uniform_draws_within_the_target() -> None:
    searcher = Surrogate(TOY, 0, objective=AIM, first=40)
    asked = searcher.ask(200)
    every = [tuple(row) for row in every_encoding(TOY).tolist()]
    within = {e for e, prospect in zip(every, AIM.prospects(every), strict=True) if prospect.feasible}
    assert set(asked) <= within
    assert len(set(asked)) == 200
    np.testing.assert_allclose(np.mean(asked), np.mean(list(within)), atol=0.15)


def test_optimism_explores() -> None:
    """Without it the best that is foretold is proposed, with it what is far from all that is known."""
    known = [(a, b, 0, 0) for a in range(3) for b in range(3)]
    distances = []
    for optimism in (0.0, 20.0):
        searcher = Surrogate(TOY, 0, objective=AIM, optimism=optimism, first=1, entropy=0.3)
        tell(searcher, AIM, known)
        distances.append(np.mean([np.count_nonzero(encoding[2:]) for encoding in searcher.ask(6)]))
    assert distances[1] > distances[0]


def test_networks_over_the_target_are_proposed_where_they_are_trained() -> None:
    objective = toy_objective(TOY, 0.8, train_infeasible=True)
    searcher = quick_searcher("surrogate", TOY, 0, objective)
    assert any(each.latency_ms > 0.8 for each in objective.prospects(searcher.ask(20)))


@pytest.mark.parametrize(
    "options",
    [
        {"steps": 0}, {"draws": 0}, {"first": 0}, {"elites": -1}, {"entropy": -0.1}, {"optimism": -1.0}, {"lr": 0.0},
    ],
    ids=str,
)  # fmt: skip
def test_settings_out_of_range(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"at least|lr > 0"):
        Surrogate(TOY, 0, objective=AIM, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [{"elites": 0}, {"optimism": 0.0}, {"entropy": 0.0}, {"first": 1}], ids=str)
def test_settings_at_their_limits(options: dict[str, float]) -> None:
    searcher = Surrogate(TOY, 0, objective=AIM, steps=3, draws=8, **options)  # type: ignore[arg-type]
    for _ in range(6):
        tell(searcher, AIM, searcher.ask(4))
    assert len(set(searcher.ask(4))) == 4
