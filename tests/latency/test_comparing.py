from __future__ import annotations

from dataclasses import replace
from math import isnan

import pytest

from mnas.latency import LatencyTable, compare


def scaled(table: LatencyTable, by: float, networks: float | None = None) -> LatencyTable:
    """The same table, measured `by` times slower."""
    rows = {p: row._replace(median_ms=row.median_ms * by) for p, row in table.rows.items()}
    measured = tuple(n._replace(ms=n.ms * (networks or by)) for n in table.networks)
    return replace(table, rows=rows, networks=measured)


def test_a_table_is_like_itself(table: LatencyTable) -> None:
    found = compare(table, table)
    assert (found.differences, found.same_device, found.only_first, found.only_second) == ((), True, (), ())
    assert (found.level, found.level_by, found.note) == (1.0, "anchors", "")
    assert found.raw == found.leveled == (len(table.rows), 1.0, 1.0, 1.0, 0.0)
    assert found.spearman == pytest.approx(1)


def test_the_level_is_that_of_the_anchors(table: LatencyTable) -> None:
    found = compare(table, scaled(table, 1.43, networks=1.3))
    assert found.level == pytest.approx(1.3)
    assert found.level_by == "anchors"
    assert found.raw.median == pytest.approx(1.43)
    assert found.leveled.median == pytest.approx(1.1)
    assert found.leveled.mape_percent == pytest.approx(10)


def test_anchors_of_the_second_tell_it_too(table: LatencyTable) -> None:
    none = replace(table, networks=tuple(n._replace(role="calibration") for n in table.networks))
    assert compare(none, scaled(table, 2.0)).level_by == "anchors"
    assert compare(none, scaled(none, 2.0)).level_by == "rows"


def test_without_anchors_the_common_rows_tell_it(table: LatencyTable) -> None:
    found = compare(table, replace(scaled(table, 2.0), networks=()))
    assert found.level == pytest.approx(2)
    assert found.level_by == "rows"
    assert found.note == "they measured 0 of each other's anchors, 3 are needed"
    assert found.leveled.mape_percent == pytest.approx(0, abs=1e-9)


def test_anchors_that_disagree_are_named(table: LatencyTable) -> None:
    uneven = tuple(n._replace(ms=n.ms * (1 + i % 2)) for i, n in enumerate(table.networks))
    found = compare(table, replace(table, networks=uneven))
    assert found.level_by == "rows"
    assert "anchors disagree" in found.note


def test_rows_of_one_only_and_the_worst_first(table: LatencyTable) -> None:
    first, second, *rest = table.rows
    odd = {p: row._replace(median_ms=row.median_ms * (3 if p == rest[4] else 1)) for p, row in table.rows.items()}
    a = replace(table, rows={p: row for p, row in table.rows.items() if p != first})
    b = replace(table, rows={p: row for p, row in odd.items() if p != second})
    found = compare(a, b)
    assert (found.only_first, found.only_second) == ((second,), (first,))
    assert found.common[0].placement == rest[4]
    assert found.common[0].ratio == pytest.approx(3)
    assert len(found.common) == found.raw.n == len(rest)


def test_tables_of_different_devices(table: LatencyTable) -> None:
    phone = replace(scaled(table, 4.0), conditions=replace(table.conditions, device="phone", dtype="int8"), networks=())
    found = compare(table, phone)
    assert not found.same_device
    assert found.differences == ("device: 'local' against 'phone'", "dtype: 'float32' against 'int8'")
    assert found.spearman == pytest.approx(1)


def test_tables_without_a_common_row(table: LatencyTable) -> None:
    found = compare(table, replace(table, rows={}, networks=()))
    assert (found.level, found.level_by, found.common) == (1.0, "nothing", ())
    assert found.raw.n == 0
    assert isnan(found.raw.median)
    assert isnan(found.spearman)
