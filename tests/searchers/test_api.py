from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mnas
from mnas.errors import CheckError, ConfigError, DataError, MissingLatencyError, UnknownNameError
from mnas.evaluate import evaluators
from mnas.latency import LatencyTable
from mnas.runtimes import runtimes
from mnas.searchers import Run, api, make_config, make_evaluator, search_run
from mnas.searchers.trial import Trial
from tests.latency.fakes import TINY, FakeRuntime, install, measure_tiny
from tests.searchers.fakes import SEARCHERS, MacsLatency, Misled, ToyEvaluator, toy_accuracy

GIVEN: dict[str, Any] = {
    "space": "mnasnet-small", "data": "digits", "table": "fast", "target_ms": 1.0, "evaluator": "toy", "workers": 0,
    "trials": 6,
}  # fmt: skip


@pytest.fixture(autouse=True)
def plugged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A toy evaluator, and a latency model in place of every table."""
    list(evaluators)
    monkeypatch.setitem(evaluators._entries, "toy", ToyEvaluator)
    monkeypatch.setitem(evaluators._entries, "misled", Misled)
    monkeypatch.setattr(api, "load_table", lambda name: MacsLatency())


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> LatencyTable:
    """A table of the space `TINY`, by a runtime that invents its times."""
    list(runtimes)
    install(FakeRuntime())
    table = measure_tiny(tmp_path_factory.mktemp("tiny") / "t")
    del runtimes._entries["fake"]
    return table


def without_seconds(run: Run) -> list[Trial]:
    return [replace(trial, seconds=0.0) for trial in run.trials]


def test_classes_and_image_are_those_of_the_data(tmp_path: Path) -> None:
    run = search_run(make_config(GIVEN), tmp_path)
    assert (run.config.classes, run.config.image_size, run.config.channels) == (10, 8, 1)
    assert run.space == mnas.space("mnasnet-small", classes=10, image_size=8, channels=1)
    assert run.evaluations == 6
    best = run.best()
    assert best.accuracy == toy_accuracy(best.architecture, best.seed)
    assert best.latency.high_ms <= 1


def test_the_function_and_the_configuration_search_alike_and_a_run_is_continued(tmp_path: Path) -> None:
    space = mnas.space("mnasnet-small", image_size=8)
    arguments = {key: value for key, value in GIVEN.items() if key not in ("space", "trials")}
    one = mnas.search(space, run=tmp_path / "one", trials=3, **arguments)
    assert one.evaluations == 3
    one = mnas.search(space, run=tmp_path / "one", trials=6, **arguments)
    other = search_run(make_config({**GIVEN, "image_size": 8}), tmp_path / "other")
    assert without_seconds(one) == without_seconds(other)
    assert one.config == other.config


def test_a_table_of_an_emulated_processor_is_refused(tiny: LatencyTable, tmp_path: Path) -> None:
    emulated = replace(tiny, conditions=replace(tiny.conditions, emulated=True))
    with pytest.raises(CheckError, match="was measured on an emulated processor"):
        mnas.search(TINY, data="digits", table=emulated, target_ms=1, run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_progress_counts_evaluations(tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    config = make_config({**GIVEN, "searcher": "reinforce", "target_ms": 0.3})
    run = search_run(config, tmp_path, progress=lambda *each: seen.append(each))
    assert len(seen) == len(run.trials)
    done, total, note = seen[-1]
    assert (done, total) == (6, 6)
    assert f"best {run.best().reward:.3f}" in note
    assert "entropy " in note
    assert f"skipped by table {run.counts()['infeasible']}" in note


def test_evaluator_options_are_checked() -> None:
    config = make_config({**GIVEN, "evaluator_options": {"bonus": 1}})
    assert make_evaluator(config) == ToyEvaluator("digits", 1.0)
    for key in ("boni", "data"):
        with pytest.raises(ConfigError, match=rf"evaluator 'toy' has no option '{key}'; known: bonus \(default 0.0\)"):
            make_evaluator(make_config({**GIVEN, "evaluator_options": {key: 1}}))
    with pytest.raises(UnknownNameError, match=r"unknown evaluator 'oracle'; known: .*toy"):
        make_evaluator(make_config({**GIVEN, "evaluator": "oracle"}))


def test_every_evaluator_is_made_from_a_configuration() -> None:
    for name in evaluators:
        if name != "table":
            assert callable(make_evaluator(make_config({**GIVEN, "evaluator": name})))
    with pytest.raises(ConfigError, match="evaluator 'table' needs the option file and accuracy"):
        make_evaluator(make_config({**GIVEN, "evaluator": "table"}))


def test_what_does_not_fit_the_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="classes is 7, but data set digits has 10"):
        search_run(make_config({**GIVEN, "classes": 7}), tmp_path)
    with pytest.raises(DataError, match="no data set"):
        search_run(make_config({**GIVEN, "data": "nowhere"}), tmp_path)
    images = np.zeros((20, 1, 8, 12), np.uint8)
    np.savez(tmp_path / "wide.npz", x_train=images, y_train=np.arange(20) % 2, x_test=images, y_test=np.arange(20) % 2)
    colour, labels = np.zeros((20, 3, 8, 8), np.uint8), np.arange(20) % 2
    np.savez(tmp_path / "colour.npz", x_train=colour, y_train=labels, x_test=colour, y_test=labels)
    for channels in (1, 4):
        with pytest.raises(ConfigError, match=rf"channels is {channels}, but the images of .*colour.npz have 3"):
            search_run(make_config({**GIVEN, "data": str(tmp_path / "colour.npz"), "channels": channels}), tmp_path)
    assert search_run(make_config({**GIVEN, "channels": 3}), tmp_path / "grey").evaluations == 6
    with pytest.raises(ConfigError, match="8x12, not square: give image_size"):
        search_run(make_config({**GIVEN, "data": str(tmp_path / "wide.npz")}), tmp_path)


def test_a_device_that_is_missing_is_noticed_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"torch_device 'gpu'.*available: cpu"):
        search_run(make_config({**GIVEN, "evaluator": "proxy", "torch_device": "gpu"}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("workers", [0, 1])
def test_wrong_data_ends_the_search(tmp_path: Path, workers: int) -> None:
    with pytest.raises(DataError, match="no data"):
        search_run(make_config({**GIVEN, "evaluator": "misled", "workers": workers}), tmp_path)
    assert Run.open(tmp_path).evaluations == 0


def test_a_row_that_the_table_lacks_is_noticed_before_anything_is_written(tmp_path: Path, tiny: LatencyTable) -> None:
    first = set(TINY.decode((0,) * len(TINY.choices)).canonical().placements)
    rare = next(row for row in tiny.rows if row not in first)
    lacking = replace(tiny, rows={row: ms for row, ms in tiny.rows.items() if row != rare})
    given = {**GIVEN, "space": TINY, "run": tmp_path / "run", "target_ms": 1e3}
    with pytest.raises(MissingLatencyError) as raised:
        mnas.search(**{**given, "table": lacking})
    assert raised.value.missing == (str(rare),)
    assert not (tmp_path / "run").exists()
    estimated = mnas.search(**{**given, "table": lacking, "run": tmp_path / "estimated", "on_missing": "estimate"})
    assert estimated.evaluations == 6
    assert mnas.search(**{**given, "table": tiny}).evaluations == 6


def test_an_evaluator_that_trains_needs_data(tmp_path: Path) -> None:
    given = {key: value for key, value in GIVEN.items() if key not in ("data", "evaluator", "space")}
    for evaluator in ("proxy", "toy"):
        with pytest.raises(ConfigError, match=rf"evaluator '{evaluator}' needs data: name a data set \(--data"):
            mnas.search("mnasnet-small", run=tmp_path / "run", evaluator=evaluator, **given)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", SEARCHERS)
def test_every_searcher_searches_by_its_defaults(name: str, tmp_path: Path) -> None:
    options = {"steps": 4} if name == "surrogate" else {}
    run = search_run(make_config({**GIVEN, "searcher": name, "searcher_options": options}), tmp_path)
    assert run.evaluations == 6
    assert run.config.searcher == name


@pytest.mark.slow
def test_a_proxy_search_on_digits(tmp_path: Path) -> None:
    def run(folder: str, workers: int) -> Run:
        return mnas.search(
            "mnasnet-small",
            data="digits",
            table="fast",
            target_ms=0.3,
            run=tmp_path / folder,
            trials=2,
            workers=workers,
            evaluator_options={"images": 200, "validation": 100, "epochs": 1},
        )

    alone = run("alone", 0)
    assert {trial.status for trial in alone.trials} <= {"trained", "infeasible", "cached"}
    assert alone.best().accuracy is not None
    assert without_seconds(run("workers", 2)) == without_seconds(alone)
