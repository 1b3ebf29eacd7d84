from __future__ import annotations

from dataclasses import replace

import pytest

from mnas.ir import Architecture, Placement
from mnas.latency import Finding, LatencyTable, examine
from mnas.spaces import space
from tests.latency.fakes import TINY, tiny


def failures(table: LatencyTable, *args: object) -> dict[str, Finding]:
    return {found.check: found for found in examine(table, *args) if not found.passed}  # type: ignore[arg-type]


def scaled(table: LatencyTable, by: float, only: Placement | None = None) -> LatencyTable:
    rows = {
        placement: row._replace(median_ms=row.median_ms * (by if only in (None, placement) else 1))
        for placement, row in table.rows.items()
    }
    return replace(table, rows=rows)


def test_a_sound_table_passes_every_check(table: LatencyTable) -> None:
    assert failures(table, [TINY]) == {}
    checks = [found.check for found in examine(table, [TINY])]
    assert checks == ["files", "conditions", "samples", "networks", "units", "covers tiny", "no others", "verdict"]


@pytest.mark.parametrize(("by", "unit"), [(1e3, "microseconds"), (1e-3, "seconds")])
def test_other_units_are_noticed(table: LatencyTable, by: float, unit: str) -> None:
    found = failures(scaled(table, by))["units"]
    assert f"were these {unit}, not ms?" in found.detail
    assert "GMAC/s" in found.rows[0]


@pytest.mark.parametrize("by", [1e3, 1e-3])
def test_a_row_of_another_unit_is_named(table: LatencyTable, by: float) -> None:
    largest = max(table.rows, key=lambda placement: placement.cost.macs)
    found = failures(scaled(table, by, largest))["units"]
    assert found.rows[0].startswith(f"{largest}: ")
    assert len(found.rows) == 1


def test_rows_without_macs_tell_no_unit(table: LatencyTable) -> None:
    rows = {Placement.parse("identity@8x8x8"): next(iter(table.rows.values()))}
    details = {found.check: found.detail for found in examine(replace(table, rows=rows))}
    assert details["units"] == "no row multiplies: nothing to tell by"


def test_rows_missing_from_a_space_are_listed(table: LatencyTable) -> None:
    first = next(iter(table.rows))
    lacking = replace(table, rows={p: r for p, r in table.rows.items() if p != first}, failed={first: "it crashed"})
    found = failures(lacking, [TINY])
    assert set(found) == {"covers tiny"}
    assert found["covers tiny"].rows == (f"{first} (failed: it crashed)",)
    assert found["covers tiny"].detail == "1 rows are missing"


def test_rows_of_another_space_are_listed(table: LatencyTable) -> None:
    found = failures(table, [tiny(classes=100)])
    heads = {str(placement) for placement in table.rows if placement.op.name == "head"}
    assert set(found["no others"].rows) == heads
    assert len(found["covers tiny"].rows) == len(heads)
    assert set(failures(table, [space("mnasnet")])["no others"].rows) == set(map(str, table.rows))


def test_rows_of_a_named_network_are_no_others(table: LatencyTable) -> None:
    network = Architecture.parse("input 1x8x8\nconv_c8_s2\nidentity\nconv_c12")
    row = next(iter(table.rows.values()))
    grown = replace(table, rows={**table.rows, network.placements[2]: row})
    assert failures(grown, [TINY])["no others"].rows == ("conv_c12@8x4x4",)
    assert set(failures(grown, [TINY], {"mine": network})) == {"samples"}  # it was never measured
    assert failures(table, [TINY], {"mine": network})["covers mine"].rows == ("conv_c12@8x4x4",)


def test_doubtful_conditions_verdicts_and_networks(table: LatencyTable) -> None:
    emulated = replace(table, conditions=replace(table.conditions, emulated=True))
    assert "emulated" in failures(emulated)["conditions"].detail
    threads = replace(table, conditions=replace(table.conditions, num_threads=0))
    assert "0 threads" in failures(threads)["conditions"].detail
    assert failures(replace(table, verdict="noisy", remedy="be quiet"))["verdict"].detail == "noisy: be quiet"
    few = replace(table, networks=table.networks[:2])
    assert "2 networks" in failures(few)["networks"].detail
    wrong = replace(table, networks=(table.networks[0]._replace(ms=float("nan")), *table.networks[1:]))
    assert failures(wrong)["networks"].rows == (table.networks[0].architecture.replace("\n", "; "),)


def test_raw_samples_must_be_those_of_the_rows(table: LatencyTable) -> None:
    assert "cannot be read" in failures(replace(table, raw=b"no gzip"))["samples"].detail
    extra = Placement.parse("conv_c24_k7@8x8x8")
    grown = replace(table, rows={**table.rows, extra: next(iter(table.rows.values()))})
    assert failures(grown)["samples"].rows == (str(extra),)
