from __future__ import annotations

import gzip
import re
import shutil
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnas.errors import ConfigError, FormatError
from mnas.latency import (
    Calibration,
    LatencyTable,
    MeasuredNetwork,
    Row,
    check_free,
    load_table,
    own_tables,
    rows_to_measure,
    save_table,
    shipped_tables,
)
from mnas.latency.storage import _fingerprint, _sha256, table_prefix
from tests.latency.fakes import FakeRuntime, measure_tiny, tiny
from tests.strategies import placements

positive = st.floats(1e-6, 1e6)
numbers = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=20)


@st.composite
def rows(draw: st.DrawFn) -> Row:
    low, median, high = sorted(draw(st.tuples(positive, positive, positive)))
    return Row(median, low, high, draw(st.integers(1, 99)), draw(st.integers(1, 999)), draw(st.floats(0, 1)))


calibrations = st.builds(
    Calibration, numbers, numbers, numbers, positive, st.lists(numbers).map(tuple), positive, positive
)
networks = st.builds(
    MeasuredNetwork, texts, texts.map(lambda text: f"input 1x8x8\n{text}"), positive,
    st.sampled_from(["anchor", "calibration", "interval", "test"]),
)  # fmt: skip


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(placements, rows(), max_size=8),
    st.dictionaries(placements, texts, max_size=2),
    calibrations,
    st.lists(networks, max_size=3).map(tuple),
    st.dictionaries(texts, texts, max_size=3),
)
def test_round_trip(table: LatencyTable, found: Any, failed: Any, fit: Any, measured: Any, facts: Any) -> None:
    changed = replace(table, rows=found, failed=failed, calibration=fit, networks=measured, facts=facts)
    with TemporaryDirectory() as folder:
        saved = save_table(changed, Path(folder) / "a.b")
        again = load_table(Path(folder) / "a.b.csv")
    assert again == saved == replace(changed, name="a.b")
    assert list(again.rows) == list(found)
    assert (again.facts, again.date, again.effort, again.path) == (facts, table.date, table.effort, saved.path)


@pytest.fixture
def copy(kept: Path, tmp_path: Path) -> Path:
    """A table that may be damaged."""
    for path in kept.parent.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path / kept.name


def file(prefix: Path, suffix: str) -> Path:
    return prefix.with_name(prefix.name + suffix)


def test_files_are_as_documented(copy: Path, table: LatencyTable) -> None:
    lines = file(copy, ".csv").read_text().splitlines()
    assert lines[0] == "placement,median_ms,ci_low_ms,ci_high_ms,rounds,reps,preempted_share"
    assert len(lines) == len(table.rows) + 1
    with gzip.open(file(copy, ".samples.csv.gz"), "rt") as raw:
        assert raw.readline() == "unit,item,visit,round,rep,wall_ns,cpu_ns,preempted\n"
    document = tomllib.loads(file(copy, ".toml").read_text())
    assert document["schema"] == 2
    assert document["conditions"] == table.conditions.to_dict()
    assert document["sha256"]["rows"] == _sha256(file(copy, ".csv").read_bytes())
    assert {"overhead_ms", "scale", "residuals", "least_ms", "largest_ms"} <= set(document["calibration"])
    assert sum(network["role"] == "anchor" for network in document["networks"]) == 8


@pytest.mark.parametrize("suffix", ["", ".csv", ".toml", ".samples.csv.gz"])
def test_any_file_names_the_table(copy: Path, table: LatencyTable, suffix: str) -> None:
    assert table_prefix(f"{copy}{suffix}") == copy
    assert load_table(f"{copy}{suffix}") == table


def test_shipped_tables_are_found_by_name(copy: Path, table: LatencyTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mnas.latency.storage.folder", lambda name: copy.parent)
    monkeypatch.chdir("/")
    assert load_table(table.name) == table
    message = r"no latency table nothing; in ./latency_tables: none; shipped: kept\.v1; make it with: mnas profile"
    with pytest.raises(ConfigError, match=message):
        load_table("nothing")


def test_own_tables_are_found_by_name_before_shipped_ones(
    kept: Path, table: LatencyTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnas.latency.storage.folder", lambda name: kept.parent)
    monkeypatch.chdir(tmp_path)
    own = save_table(replace(table, remedy="own"), Path("latency_tables") / kept.name)
    assert load_table(kept.name) == own != table
    file(tmp_path / "latency_tables" / "other", ".partial").mkdir()
    (file(tmp_path / "latency_tables" / "other", ".partial") / "plan.json").touch()
    with pytest.raises(FormatError, match="table latency_tables/other is unfinished"):
        load_table("other")
    with pytest.raises(ConfigError, match=r"in ./latency_tables: kept\.v1; shipped: kept\.v1;"):
        load_table("nothing")


def test_shipped_tables_are_not_listed_twice(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: LatencyTable
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mnas.latency.storage.folder", lambda name: tmp_path / name)
    save_table(table, tmp_path / "latency_tables" / "here")
    assert own_tables() == ()
    assert [path.name for path in shipped_tables()] == ["here"]


@pytest.mark.parametrize("name", ["", ".", "..", "/", ".csv", "a/..", "a\0b"])
def test_paths_that_name_no_file_are_refused(name: str, table: LatencyTable) -> None:
    for ask in (load_table, table_prefix, lambda path: save_table(table, path)):
        with pytest.raises(ConfigError, match="is not the name of a latency table"):
            ask(name)


def test_missing_files_are_named(copy: Path) -> None:
    file(copy, ".samples.csv.gz").unlink()
    with pytest.raises(FormatError, match=r"cannot read .*\.samples\.csv\.gz: No such file"):
        load_table(copy)
    file(copy, ".csv").unlink()
    with pytest.raises(FormatError, match=r"cannot read .*\.csv: No such file.*profile again"):
        load_table(copy)


@pytest.mark.parametrize("left", [[".csv"], [".samples.csv.gz"], [".samples.csv.gz", ".csv"]])
def test_files_without_their_toml_are_refused(copy: Path, left: list[str], fake: FakeRuntime) -> None:
    for suffix in (".csv", ".toml", ".samples.csv.gz"):
        if suffix not in left:
            file(copy, suffix).unlink()
    before = {path: path.read_bytes() for path in copy.parent.iterdir()}
    names = " and ".join(str(file(copy, suffix)) for suffix in left)
    message = f"{re.escape(names)} without .*toml: no table, and no measurement that could go on"
    asks: list[Callable[[], object]] = [
        lambda: load_table(copy), lambda: measure_tiny(copy), lambda: rows_to_measure(tiny(), (), copy),
    ]  # fmt: skip
    for ask in asks:
        with pytest.raises(FormatError, match=message):
            ask()
    assert {path: path.read_bytes() for path in copy.parent.iterdir()} == before
    assert fake.calls == []


def test_a_new_table_takes_the_place_of_no_other(copy: Path) -> None:
    assert check_free(copy.parent / "new.csv") == copy.parent / "new"
    for suffix in (".csv", ".toml"):
        with pytest.raises(ConfigError, match="exists already: give another name with -o"):
            check_free(copy)
        file(copy, suffix).unlink()
    with pytest.raises(ConfigError, match=r"samples\.csv\.gz exists already"):
        check_free(copy)


@pytest.mark.parametrize("suffix", [".csv", ".toml", ".samples.csv.gz"])
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.99])
def test_truncation_is_noticed(copy: Path, suffix: str, keep: float) -> None:
    data = file(copy, suffix).read_bytes()
    file(copy, suffix).write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(FormatError) as caught:
        load_table(copy)
    assert str(file(copy, suffix)) in str(caught.value)
    assert "profile again" in str(caught.value)


@pytest.mark.parametrize("suffix", [".csv", ".toml", ".samples.csv.gz"])
def test_any_changed_digit_is_noticed(copy: Path, suffix: str) -> None:
    data = bytearray(file(copy, suffix).read_bytes())
    at = next(i for i in range(len(data) - 40, 0, -1) if data[i] in b"12345678")
    data[at] += 1
    file(copy, suffix).write_bytes(data)
    with pytest.raises(FormatError):
        load_table(copy)


def test_another_schema_version_is_refused(copy: Path) -> None:
    path = file(copy, ".toml")
    path.write_text(path.read_text().replace("schema = 2", "schema = 1"))
    with pytest.raises(FormatError, match=r"has schema version 1, this mnas reads 2; .* run mnas profile again"):
        load_table(copy)


def sign(prefix: Path, change: Callable[[dict[str, Any]], object] = lambda document: None) -> None:
    """Change a table's TOML and make all checksums fit, as another program might."""
    document = tomllib.loads(file(prefix, ".toml").read_text())
    change(document)
    document["sha256"]["rows"] = _sha256(file(prefix, ".csv").read_bytes())
    document["sha256"]["this"] = _fingerprint(document)
    file(prefix, ".toml").write_text(tomli_w.dumps(document))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (1, "nan", "median_ms must be a positive number, got nan"),
        (1, "-1.0", "median_ms must be a positive number, got -1.0"),
        (1, "0", "median_ms must be a positive number, got 0.0"),
        (1, "inf", "median_ms must be a positive number, got inf"),
        (1, "fast", "could not convert string to float"),
        (2, "1e9", "must lie between"),
        (3, "nan", "ci_high_ms must be a positive number"),
        (4, "0", "rounds and reps must be at least 1"),
        (5, "1.5", "invalid literal for int"),
        (6, "2", "preempted_share in 0..1"),
        (0, "conv_c8_q9@1x8x8", "cannot read 'q9'"),
        (0, "warp_c8@1x8x8", "unknown op 'warp'"),
        (0, "conv_c8", "a placement is op@shape"),
    ],
)
def test_impossible_rows_are_named(copy: Path, column: int, value: str, message: str) -> None:
    path = file(copy, ".csv")
    lines = path.read_text().splitlines()
    cells = lines[3].split(",")
    cells[column] = value
    lines[3] = ",".join(cells)
    path.write_text("\n".join(lines) + "\n")
    sign(copy)
    with pytest.raises(FormatError) as caught:
        load_table(copy)
    assert f"{path} line 4 ({cells[0]})" in str(caught.value)
    assert message in str(caught.value)
    assert "profile again" in str(caught.value)


def test_a_row_that_occurs_twice_is_named(copy: Path) -> None:
    path = file(copy, ".csv")
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, lines[2]]) + "\n")
    sign(copy)
    with pytest.raises(FormatError, match=rf"line {len(lines) + 1} .*occurs twice"):
        load_table(copy)


def test_the_first_of_many_impossible_rows_are_named(copy: Path) -> None:
    path = file(copy, ".csv")
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, *(row.replace("@", "@0", 1) for row in rows)]) + "\n")
    sign(copy)
    with pytest.raises(FormatError) as caught:
        load_table(copy)
    assert str(caught.value).count("a shape is channels x height x width") == 5
    assert f"line 6 ({rows[4].split(',')[0].replace('@', '@0')})" in str(caught.value)
    assert f"... and {len(rows) - 5} more" in str(caught.value)


def test_a_row_of_fewer_cells_is_named(copy: Path) -> None:
    path = file(copy, ".csv")
    path.write_text(path.read_text().rstrip().rsplit(",", 1)[0] + "\n")
    sign(copy)
    with pytest.raises(FormatError, match="6 cells instead of 7"):
        load_table(copy)


def test_another_header_is_refused(copy: Path) -> None:
    path = file(copy, ".csv")
    path.write_text(path.read_text().replace("median_ms", "median_us"))
    with pytest.raises(FormatError, match="must start with the line placement,median_ms"):
        load_table(copy)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("conditions"),
        lambda d: d["conditions"].update(num_threads="two"),
        lambda d: d["calibration"].pop("scale"),
        lambda d: d["check"].update(surprise=1),
        lambda d: d["networks"][0].pop("role"),
        lambda d: d["failed"].update({"not a placement": "why"}),
    ],
)
def test_malformed_documents_are_refused(copy: Path, change: Callable[[dict[str, Any]], object]) -> None:
    sign(copy, change)
    with pytest.raises(FormatError, match=r"\.toml is malformed"):
        load_table(copy)


def test_lost_checksums_are_noticed(copy: Path) -> None:
    path = file(copy, ".toml")
    document = tomllib.loads(path.read_text())
    del document["sha256"]
    path.write_text(tomli_w.dumps(document))
    with pytest.raises(FormatError, match="lacks its checksums"):
        load_table(copy)
