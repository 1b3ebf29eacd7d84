from __future__ import annotations

import sys

import numpy as np
import pytest

from mnas.errors import ConfigError
from mnas.searchers.searcher import make_searcher
from mnas.spaces import space
from tests.contracts import check_searcher
from tests.searchers.fakes import BranchingSpace, ToySpace

pytest.importorskip("optuna", reason="needs the extra mnas[optuna]")
TOY = ToySpace((4, 4, 4), twins=False)


@pytest.mark.parametrize("sampler", ["TPESampler", "RandomSampler"])
def test_samplers_keep_the_contract(sampler: str) -> None:
    check_searcher(lambda searched, seed: make_searcher("optuna", searched, seed, {"sampler": sampler}), space("nasrl"))


def test_its_sampler_learns() -> None:
    """The reward is the mean option, 1.5 by chance."""
    searcher, told = make_searcher("optuna", ToySpace((4,) * 8, twins=False), 0), []
    for _ in range(20):
        encodings = searcher.ask(4)
        told += [float(np.mean(encoding)) for encoding in encodings]
        searcher.tell(encodings, told[-4:])
    assert np.mean(told[-20:]) > 2


def test_an_unknown_sampler_lists_those_that_learn() -> None:
    with pytest.raises(
        ConfigError, match="sampler must be one of TPESampler, GPSampler, RandomSampler, got 'GridSampler'"
    ):
        make_searcher("optuna", TOY, 0, {"sampler": "GridSampler"})


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match=r"needs the package optuna: pip install 'mnas\[optuna\]'"):
        make_searcher("optuna", TOY, 0)


def test_inactive_choices_are_0_whatever_the_sampler_says() -> None:
    searcher = make_searcher("optuna", BranchingSpace((3, 4, 4)), 0)
    for _ in range(5):
        encodings = searcher.ask(6)
        assert all(not any(encoding[encoding[0] + 1 :]) for encoding in encodings)
        searcher.tell(encodings, np.linspace(0, 1, 6).tolist())
