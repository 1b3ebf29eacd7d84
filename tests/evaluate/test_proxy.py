from __future__ import annotations

from dataclasses import replace

import pytest

from mnas.errors import ConfigError, DataError, EvaluationError
from mnas.evaluate import ProxyEvaluator, Recipe, dataset, evaluators
from mnas.evaluate.evaluator import describe, restore
from mnas.evaluate.training import Normalizer, accuracy, fit, recalibrate
from mnas.ir import Architecture
from mnas.lower.torch import build

SMALL = Architecture.parse("input 1x8x8\nconv_c8_s2\nhead_c16_n10")
FAST = ProxyEvaluator("digits", images=96, validation=100, epochs=1)


def test_it_is_registered() -> None:
    assert evaluators["proxy"](data="digits", images=96) == ProxyEvaluator("digits", images=96)


def test_equal_calls_give_equal_scores() -> None:
    score = FAST(SMALL, 3)
    assert 0 <= score <= 1
    assert score == FAST(SMALL, 3) == restore(describe(FAST))(SMALL, 3)
    assert len({FAST(SMALL, seed) for seed in range(4)}) > 1


def test_spellings_of_a_network_score_the_same() -> None:
    spelled = Architecture.parse("input 1x8x8\nconv_c8_s2\nidentity\nhead_c16_n10")
    assert spelled != SMALL
    assert FAST(spelled, 0) == FAST(SMALL, 0)


def test_it_is_a_training_of_the_given_seed() -> None:
    data = dataset("digits")
    normalize = Normalizer(data.mean, data.std)
    network = build(SMALL, 3)
    fit(network, data.train.first(96), Recipe(1, 16, 0.03, weight_decay=1e-4), normalize, seed=3)
    recalibrate(network, data.train.first(96), normalize)
    assert FAST(SMALL, 3) == accuracy(network, data.validation.first(100), normalize)


def test_the_score_can_be_the_highest_of_the_last_epochs() -> None:
    """NAS-RL takes five. Scoring an epoch does not change the training: the schedule is that of all epochs."""
    data = dataset("digits")
    normalize = Normalizer(data.mean, data.std)
    network = build(SMALL, 3)
    scores: list[float] = []

    def score(epoch: int) -> None:
        assert epoch == len(scores) + 1
        recalibrate(network, data.train.first(96), normalize)
        scores.append(accuracy(network, data.validation.first(100), normalize))

    recipe = Recipe(6, 16, 0.03, weight_decay=1e-4)
    fit(network, data.train.first(96), recipe, normalize, seed=3, after_epoch=score)
    longer = replace(FAST, epochs=6)
    assert [replace(longer, best_of=n)(SMALL, 3) for n in (1, 3, 5, 6)] == [max(scores[-n:]) for n in (1, 3, 5, 6)]
    assert max(scores) > scores[-1]
    assert restore(describe(replace(longer, best_of=5))) == replace(longer, best_of=5)


def test_it_tells_a_network_that_learns_from_one_that_cannot() -> None:
    longer = ProxyEvaluator("digits", images=400, validation=200, epochs=2, lr=0.1)
    blind = Architecture.parse("input 1x8x8\nzero\nhead_c16_n10")
    assert longer(SMALL, 0) > 0.2 > longer(blind, 0)


def test_the_evaluator_never_holds_test_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores do not change when the test split is destroyed: nothing of it is read."""
    whole = dataset("digits")
    spoiled = replace(whole, test=whole.test.first(1))
    monkeypatch.setattr("mnas.evaluate.proxy.dataset", lambda name, **_: spoiled)
    spoilt = ProxyEvaluator("digits", folder="spoiled", images=96, validation=100, epochs=1)
    assert spoilt(SMALL, 3) == FAST(SMALL, 3)


def test_images_are_brought_to_the_networks_input() -> None:
    assert 0 <= FAST(Architecture.parse("input 3x12x12\nconv_c8_s2\nhead_c16_n10"), 0) <= 1


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ConfigError, match="gives 9x1x1, but digits has 10 classes"):
        FAST(Architecture.parse("input 1x8x8\nconv_c8_s2\nhead_c16_n9"), 0)
    with pytest.raises(DataError, match="neither a known name"):
        ProxyEvaluator("digitz")(SMALL, 0)
    with pytest.raises(EvaluationError, match="diverged"):
        ProxyEvaluator("digits", images=96, lr=1e25)(SMALL, 0)
    with pytest.raises(ConfigError, match=r"validation must be 1\.\.1437 of the 1438 images of digits, got 6000"):
        ProxyEvaluator("digits", images=96, validation=6000)(SMALL, 0)


@pytest.mark.parametrize(
    "setting",
    [
        {"images": 1},
        {"validation": 0},
        {"epochs": 0},
        {"batch": 1},
        {"lr": -1.0},
        {"torch_device": "gpu"},
        {"best_of": 0},
        {"best_of": 3},
    ],
)
def test_settings_are_checked_at_once(setting: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        ProxyEvaluator("digits", **setting)  # type: ignore[arg-type]
