from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mnas
from mnas.errors import ConfigError, DataError
from mnas.evaluate import TableEvaluator, read_results, tells_spellings
from mnas.evaluate.evaluator import describe, restore
from mnas.ir import Architecture
from mnas.latency import LatencyTable
from mnas.runtimes import runtimes
from mnas.searchers import Run, searchers
from mnas.spaces import Encoding, SearchSpace, space
from tests.latency.fakes import FakeRuntime, install, measure_tiny

CELLS = space("nasbench201")
SIX = (5,) * 6
EQUAL = ((1, 0, 0, 0, 1, 4), (1, 0, 0, 1, 0, 4))
"""Value 1 is value 0, so that value 3 may read either: two spellings of one network."""


@dataclass(frozen=True)
class Plain:
    """Knows nothing of spellings."""

    def __call__(self, architecture: Architecture, seed: int) -> float:
        return 0.5


class Listed:
    """Proposes the spellings, again and again."""

    def __init__(self, space: SearchSpace, seed: int) -> None:
        pass

    def ask(self, n: int) -> list[Encoding]:
        return [EQUAL[i % 2] for i in range(n)]

    def tell(self, encodings: Sequence[Encoding], rewards: Sequence[float]) -> None:
        pass


def key(encoding: Encoding) -> str:
    return "".join(map(str, encoding))


def percent(encoding: Encoding) -> float:
    """10 to 90, another one for every cell."""
    return 10 + 80 * int(key(encoding), 5) / 5**6


def write_results(path: Path, encodings: list[Encoding] | None = None) -> Path:
    """A table of all cells, or of some."""
    every = [tuple(each) for each in product(range(5), repeat=6)]
    rows = [f"{key(each)},{percent(each)!r},0" for each in (every if encodings is None else encodings)]
    path.write_text("\n".join(["arch,test,unused", *rows]) + "\n")
    return path


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_results(tmp_path_factory.mktemp("results") / "cells.csv"))


@pytest.fixture(scope="module")
def latencies(tmp_path_factory: pytest.TempPathFactory) -> LatencyTable:
    """A latency table of the rows of all cells, by the time a fake takes for their MACs."""
    list(runtimes)
    install(FakeRuntime())
    table = measure_tiny(tmp_path_factory.mktemp("tiny") / "t")
    del runtimes._entries["fake"]
    row = next(iter(table.rows.values()))
    ms = {placement: 0.01 + placement.cost.macs / 1e8 for placement in CELLS.placements()}
    spanning = replace(table.calibration, largest_ms=1e3)
    return replace(table, calibration=spanning, rows={each: row._replace(median_ms=ms[each]) for each in ms})


def test_accuracies_are_looked_up_in_percent_whatever_the_seed(results: str) -> None:
    evaluator = TableEvaluator(results, "test", "nasbench201")
    for encoding in ((0,) * 6, (4, 3, 2, 1, 0, 4), (4,) * 6):
        network = CELLS.decode(encoding)
        assert evaluator(network, 0) == evaluator(network, 7) == pytest.approx(percent(encoding) / 100)


def test_spellings_of_one_function_score_apart(results: str) -> None:
    evaluator = TableEvaluator(results, "test", "nasbench201")
    networks = [CELLS.decode(encoding) for encoding in EQUAL]
    assert networks[0].canonical() == networks[1].canonical()
    assert [evaluator(network, 0) for network in networks] == [percent(encoding) / 100 for encoding in EQUAL]
    assert tells_spellings(evaluator)
    assert not tells_spellings(Plain())


def test_workers_can_make_it_from_its_description(results: str) -> None:
    evaluator = TableEvaluator(results, "test", "nasbench201", classes=7, image_size=16, channels=1)
    assert restore(describe(evaluator)) == evaluator
    small = space("nasbench201", classes=7, image_size=16, channels=1)
    assert evaluator(small.decode(EQUAL[0]), 0) == pytest.approx(percent(EQUAL[0]) / 100)
    with pytest.raises(ConfigError, match="not a network of space nasbench201"):
        evaluator(CELLS.decode(EQUAL[0]), 0)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_network_that_the_table_lacks_is_named(tmp_path: Path, suffix: str) -> None:
    path = write_results(tmp_path / "some.csv", [EQUAL[0]])
    if suffix:
        packed = tmp_path / "some.csv.gz"
        packed.write_bytes(gzip.compress(path.read_bytes()))
        path = packed
    evaluator = TableEvaluator(str(path), "test", "nasbench201")
    assert evaluator(CELLS.decode(EQUAL[0]), 0) == pytest.approx(percent(EQUAL[0]) / 100)
    with pytest.raises(ConfigError, match=r"some.csv.* does not hold \(1, 0, 0, 1, 0, 4\)"):
        evaluator(CELLS.decode(EQUAL[1]), 0)


def test_what_is_no_percentage_is_refused(tmp_path: Path) -> None:
    for bad in ("-0.5", "100.1"):
        path = tmp_path / f"{bad}.csv"
        path.write_text(f"arch,test\n000000,50\n000001,{bad}\n")
        with pytest.raises(ConfigError, match=rf"column test of .* is no accuracy in percent: it has {bad}"):
            TableEvaluator(str(path), "test", "nasbench201")
    path = tmp_path / "ends.csv"
    path.write_text("arch,test\n000000,0\n000001,100\n")
    evaluator = TableEvaluator(str(path), "test", "nasbench201")
    assert [evaluator(CELLS.decode((*[0] * 5, last)), 0) for last in (0, 1)] == [0.0, 1.0]


def test_a_space_that_cannot_read_networks_back_is_refused(results: str) -> None:
    with pytest.raises(ConfigError, match="space mnasnet-small cannot read networks back"):
        TableEvaluator(results, "test", "mnasnet-small")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cell,test\n000000,50\n", r"has no column arch; it has: cell, test"),
        ("arch,valid\n000000,50\n", r"has no column test; it has: arch, valid"),
        ("arch,test\n000000,good\n", "rows without a number in test"),
        ("arch,test\n000000,\n", "rows without a number in test"),
        ("arch,test\n000000,inf\n", "rows without a number in test"),
        ("arch,test\n", "or no rows at all"),
        ("", "cannot read the table of results"),
        ('arch,test\n"000000,50\n', "cannot read the table of results"),
        ("arch,test\n0000,50\n", "'0000' is no network: 6 digits, each below 5, 5, 5, 5, 5, 5"),
        ("arch,test\n000005,50\n", "'000005' is no network"),
        ("arch,test\n00000x,50\n", "'00000x' is no network"),
        ("arch,test\n,50\n", "'nan' is no network"),
        ("arch,test\n00001\u0662,50\n", "is no network"),
        ("arch,test\n000010,50\n000001,3\n000010,50\n", "a network more than once, such as 000010"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_results(path, ["test"], SIX)


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    good = gzip.compress(b"arch,test\n" + b"".join(b"%06d,50\n" % i for i in range(1, 9)))
    (tmp_path / "torn.csv.gz").write_bytes(good[:-12])
    (tmp_path / "plain.csv.gz").write_text("arch,test\n000000,50\n")
    (tmp_path / "flipped.csv.gz").write_bytes(good[:14] + b"\xff" + good[15:])
    (tmp_path / "binary.csv").write_bytes(bytes(range(256)) * 4)
    (tmp_path / "folder.csv").mkdir()
    for name in ("torn.csv.gz", "plain.csv.gz", "flipped.csv.gz", "binary.csv", "folder.csv", "absent.csv"):
        with pytest.raises(DataError, match=rf"cannot read the table of results .*{name}"):
            read_results(tmp_path / name, ["test"], SIX)


numbers = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)


@given(data=st.data(), options=st.lists(st.integers(1, 10), min_size=1, max_size=8))
@settings(deadline=None)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, options: list[int]
) -> None:
    encodings = st.tuples(*(st.integers(0, n - 1) for n in options))
    rows = data.draw(st.dictionaries(encodings, st.tuples(numbers, numbers), min_size=1, max_size=5))
    path = tmp_path_factory.mktemp("written") / "t.csv"
    lines = [f"{a!r},{key(encoding)},{b!r}" for encoding, (a, b) in rows.items()]
    path.write_text("\n".join(["a,arch,b", *lines]))
    read = read_results(path, ("b", "a"), options)
    assert list(read) == list(rows)
    np.testing.assert_allclose(list(read.values()), [(b, a) for a, b in rows.values()], rtol=1e-15)


def searched(results: str, latencies: LatencyTable, run: Path, **settings: object) -> Run:
    given: dict[str, object] = {
        "table": latencies, "target_ms": 1e3, "evaluator": "table", "workers": 0, "trials": 40, "run": run,
        "evaluator_options": {"file": results, "accuracy": "test"}, "searcher": "random", **settings,
    }  # fmt: skip
    return mnas.search("nasbench201", **given)  # type: ignore[arg-type]


def test_a_search_by_a_table_needs_no_data_and_keeps_spellings(
    results: str, latencies: LatencyTable, tmp_path: Path
) -> None:
    run = searched(results, latencies, tmp_path / "run")
    assert run.evaluations == 40
    assert run.config.data is None
    for trial in run.trials:
        assert trial.architecture == CELLS.decode(trial.encoding)
        assert trial.accuracy == pytest.approx(percent(trial.encoding) / 100)
    assert searched(results, latencies, tmp_path / "run") == run  # read from its folder


def test_equal_networks_of_two_spellings_are_two_trials(
    results: str, latencies: LatencyTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(searchers)
    monkeypatch.setitem(searchers._entries, "listed", Listed)
    run = searched(results, latencies, tmp_path, searcher="listed", trials=2, batch=2)
    assert [trial.accuracy for trial in run.trials] == [percent(encoding) / 100 for encoding in EQUAL]
    assert {trial.status for trial in run.trials} == {"trained"}
    assert len({trial.architecture.canonical() for trial in run.trials}) == 1
    assert len({trial.seed for trial in run.trials}) == 2


def test_the_default_searcher_searches_a_table(results: str, latencies: LatencyTable, tmp_path: Path) -> None:
    typical = float(np.median([latencies.predict(CELLS.decode((op,) * 6)).high_ms for op in range(5)]))
    options = {"steps": 4, "draws": 16}
    run = searched(
        results, latencies, tmp_path / "run", searcher="surrogate", searcher_options=options, target_ms=typical
    )
    assert run.evaluations == 40
    assert all(trial.latency.high_ms <= typical for trial in run.trials)
    assert run.best().accuracy == max(trial.accuracy or 0 for trial in run.trials)


def test_options_that_are_missing_or_wrong_are_named_before_anything_is_written(
    results: str, latencies: LatencyTable, tmp_path: Path
) -> None:
    wrong = (
        ({"file": results}, ConfigError, "needs the option accuracy"),
        ({"file": results, "accuracy": "valid"}, DataError, "has no column valid; it has: arch, test, unused"),
        ({"file": "absent.csv", "accuracy": "test"}, DataError, r"cannot read the table of results absent.csv"),
        ({"file": results, "accuracy": "test", "space": "x"}, ConfigError, "has no option 'space'; known: file, acc"),
    )
    for options, error, message in wrong:
        with pytest.raises(error, match=message):
            searched(results, latencies, tmp_path / "run", evaluator_options=options)
    assert not (tmp_path / "run").exists()
