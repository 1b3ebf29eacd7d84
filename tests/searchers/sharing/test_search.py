from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import mnas
from mnas.errors import ConfigError, DataError
from mnas.evaluate import evaluators
from mnas.ir import Architecture
from mnas.latency import Estimate
from mnas.searchers import Objective, Run, TunasSettings, api, make_config, make_reward, search_run, tunas
from mnas.searchers.sharing import search as module
from mnas.searchers.sharing.found import search_of
from mnas.spaces import Encoding, space, spaces
from tests.searchers.fakes import MacsLatency, ToyEvaluator, toy_objective
from tests.searchers.gradients.spaces import CHAIN, DIGITS, images

ROWS = images(96)
FAST = TunasSettings(images=96, epochs=4, batch=16, lr=0.05, policy_lr=0.1, samples=2)


class Stop(Exception):  # noqa: N818 (no error)
    pass


class Sizes(MacsLatency):
    """A millisecond for 20,000 multiply-adds."""

    def predict(self, architecture: Architecture) -> Estimate:
        ms = architecture.cost.macs / 20000
        return Estimate(ms, 0.9 * ms, 1.1 * ms)


def objective(target_ms: float) -> Objective:
    return replace(
        toy_objective(CHAIN, latency=Sizes()),
        target_ms=target_ms,
        reward=make_reward("absolute", target_ms, beta=-10.0),
    )


def high_ms(encoding: Encoding) -> float:
    return Sizes().predict(CHAIN.decode(encoding)).high_ms


@pytest.mark.slow
def test_it_ends_within_the_target() -> None:
    """Where latency outweighs all else, the answer comes near the target from below, whatever that is."""
    longer = replace(FAST, epochs=25)
    for target_ms in (2.0, 4.0):
        found = tunas(objective(target_ms), ROWS, settings=longer)
        assert 0.5 * target_ms < high_ms(found) <= target_ms


@pytest.mark.slow
def test_an_interrupted_search_ends_with_the_same_encoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAVE_SECONDS", 0.0)
    whole = tunas(objective(3.0), ROWS, settings=FAST, folder=tmp_path / "whole")
    for at in (2, 7):

        def stop(done: int, total: int, note: str, at: int = at) -> None:
            assert total == 12
            assert "entropy" in note
            if done == at:
                raise Stop

        folder = tmp_path / str(at)
        with pytest.raises(Stop):
            tunas(objective(3.0), ROWS, settings=FAST, folder=folder, progress=stop)
        assert tunas(objective(3.0), ROWS, settings=FAST, folder=folder, workers=2) == whole
        assert (folder / "tunas.pt").read_bytes() == (tmp_path / "whole" / "tunas.pt").read_bytes()
    with pytest.raises(ConfigError, match=r"another training: seed \(0 there, 1 here\)"):
        tunas(objective(3.0), ROWS, settings=FAST, folder=tmp_path / "whole", seed=1)
    with pytest.raises(ConfigError, match=r"target_ms \(3.0 there, 2.0 here\)"):
        tunas(objective(2.0), ROWS, settings=FAST, folder=tmp_path / "whole")


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match="too few for a batch of 64"):
        tunas(objective(3.0), ROWS, settings=replace(FAST, images=200, batch=64))
    with pytest.raises(ConfigError, match="has 3 classes, rows has 4"):
        tunas(objective(3.0), images(classes=4), settings=FAST)
    cells = space("nasbench201", classes=3)
    with pytest.raises(ConfigError, match="cannot share weights"):
        tunas(replace(objective(3.0), space=cells), ROWS, settings=FAST)


def test_the_network_found_is_the_runs_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    list(evaluators), list(spaces)
    monkeypatch.setitem(evaluators._entries, "toy", ToyEvaluator)
    monkeypatch.setitem(spaces._entries, "chain", lambda **_: DIGITS)
    monkeypatch.setattr(api, "load_table", lambda name: MacsLatency())
    options = {"images": 96, "epochs": 2, "batch": 16}
    given = {
        "space": "chain", "data": "digits", "table": "fast", "target_ms": 1.0, "workers": 0, "searcher": "tunas",
        "searcher_options": options, "evaluator": "toy",
    }  # fmt: skip
    seen: list[int] = []
    run = search_run(make_config(given), tmp_path / "run", progress=lambda done, total, note: seen.append(total))
    assert seen == [6] * 6 + [1]
    (trial,) = run.trials
    assert trial.status == "trained"
    assert run.config.reward == "absolute"
    target = Objective(DIGITS, MacsLatency(), make_reward("absolute", 1.0), 1.0)
    assert trial.encoding == mnas.searchers.tunas(target, "digits", settings=TunasSettings(**options))
    assert (run.folder / "tunas.pt").exists()
    assert [t.encoding for t in Run.open(run.folder).trials] == [trial.encoding]
    for changes, message in (
        ({"searcher_options": {"steps": 1}}, "searcher 'tunas' has no option 'steps'; known: images"),
        ({"space": "nasbench201"}, "cannot share weights"),
    ):
        with pytest.raises(ConfigError, match=message):
            search_run(make_config({**given, **changes}), tmp_path / "other")
    assert not (tmp_path / "other").exists()
    without = make_config({key: value for key, value in given.items() if key != "data"})
    with pytest.raises(ConfigError, match="searcher 'tunas' needs data"):
        search_of(without, target, tmp_path, None)
