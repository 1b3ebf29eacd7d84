from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mnas.errors import ConfigError, DataError, EvaluationError, UnknownNameError
from mnas.evaluate import LocalExecutor, ProxyEvaluator, Score, ScoreEvaluator, Scorer, evaluators, scores
from mnas.evaluate.evaluator import describe, restore
from mnas.evaluate.scoring import LOWEST
from mnas.evaluate.untrained import naswot
from mnas.ir import Architecture
from mnas.lower.torch import TorchNetwork, build

SMALL = Architecture.parse("input 1x8x8\nconv_c8_s2\nhead_c16_n10")
WIDE = Architecture.parse("input 1x8x8\nconv_c24\nhead_c64_n10")
LINEAR = Architecture.parse("input 1x8x8\nstem_c8\nclassifier_n10")
FAST = ScoreEvaluator("digits", images=32)


def test_it_is_registered_and_says_that_it_gives_scores() -> None:
    assert evaluators["naswot"](data="digits", images=32) == FAST
    assert isinstance(FAST, Scorer)
    assert len({ScoreEvaluator("digits", score=name)(SMALL, 0) for name in scores}) == len(list(scores))
    assert not isinstance(ProxyEvaluator("digits"), Scorer)


def test_it_is_the_score_of_the_first_training_images() -> None:
    batch = FAST.minibatch(SMALL)
    assert batch.images.shape == (32, 1, 8, 8)
    assert FAST(SMALL, 3) == naswot(SMALL, 3, batch)
    assert FAST(WIDE, 3) > FAST(SMALL, 3)


@pytest.mark.slow
def test_scores_do_not_depend_on_where_they_are_computed() -> None:
    jobs = [(SMALL, 0), (WIDE, 1)]
    with LocalExecutor(FAST, 1) as executor:
        there = [outcome.value for outcome in executor.map(jobs)]
    assert there == [FAST(*job) for job in jobs] == [restore(describe(FAST))(*job) for job in jobs]


def test_spellings_of_a_network_score_the_same() -> None:
    spelled = Architecture.parse("input 1x8x8\nconv_c8_s2\nidentity\nhead_c16_n10")
    assert spelled != SMALL
    assert FAST(spelled, 0) == FAST(SMALL, 0)


def test_images_are_brought_to_the_networks_input() -> None:
    colour = Architecture.parse("input 3x12x12\nconv_c8_s2\nhead_c16_n10")
    assert FAST.minibatch(colour).images.shape == (32, 3, 12, 12)
    assert math.isfinite(FAST(colour, 0))


def test_minus_infinity_is_told_as_the_lowest_number() -> None:
    assert FAST(LINEAR, 0) == LOWEST  # it has no units
    assert 0 < FAST.squash(LOWEST) < FAST.squash(-700 * 128)


@pytest.mark.parametrize("score", ["naswot", "synflow", "grad-norm"])
def test_values_that_overflow_fail(score: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def huge(architecture: Architecture, seed: int) -> TorchNetwork:
        network = build(architecture, seed)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(float("inf"))
        return network

    monkeypatch.setattr("mnas.evaluate.untrained.build", huge)
    evaluator = ScoreEvaluator("digits", score=score, images=8)
    with pytest.raises(EvaluationError, match=f"{score} is (nan|inf): the network's values overflow"):
        evaluator(SMALL, 0)


def test_what_is_no_number_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (math.nan, math.inf):
        monkeypatch.setitem(scores._entries, "broken", Score(lambda *_, value=value: value, 1.0))
        with pytest.raises(EvaluationError, match=f"broken is {value}: the network's values overflow"):
            ScoreEvaluator("digits", score="broken")(SMALL, 0)


@given(st.floats(LOWEST, 1e6), st.floats(LOWEST, 1e6))
def test_squashing_keeps_the_order(one: float, other: float) -> None:
    a, b = FAST.squash(one), FAST.squash(other)
    assert 0 < a < 1
    assert (a <= b) if one <= other else (a >= b)
    if abs(one - other) > 1e-3:
        assert a != b


def test_the_scale_is_the_typical_score() -> None:
    for name in scores:
        evaluator, typical = ScoreEvaluator("digits", score=name), scores[name].typical
        squashed = [evaluator.squash(each * typical) for each in (1, 1.1, 2, 0)]
        assert squashed == pytest.approx([0.5, 0.642857, 0.9, 0.1], abs=1e-6)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="images must be at least 2, as batch norm needs, got 1"):
        ScoreEvaluator("digits", images=1)
    with pytest.raises(UnknownNameError, match="unknown score 'zen'"):
        ScoreEvaluator("digits", score="zen")
    with pytest.raises(ConfigError, match="gives 9x1x1, but digits has 10 classes"):
        FAST(Architecture.parse("input 1x8x8\nconv_c8_s2\nhead_c16_n9"), 0)
    images, labels = np.zeros((2, 1, 8, 8), np.uint8), np.arange(2)
    np.savez(tmp_path / "tiny.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    with pytest.raises(DataError):
        ScoreEvaluator(str(tmp_path / "tiny.npz"))(Architecture.parse("input 1x8x8\nhead_c8_n2"), 0)
