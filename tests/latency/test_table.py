from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mnas.errors import CheckError, MissingLatencyError
from mnas.ir import Architecture
from mnas.latency import LatencyModel, LatencyTable
from mnas.spaces import sample, space
from tests.latency.fakes import network_ms, tiny

ARCHITECTURE = tiny().decode((3, 1, 1, 2, 1))
FOREIGN = Architecture.parse("input 1x8x8\nconv_c8_s2\nconv_c40_k7\nconv_c40_k7\nhead_c8_n10")


def test_a_prediction_is_the_fitted_sum_of_rows(table: LatencyTable) -> None:
    fit, placements = table.calibration, ARCHITECTURE.placements
    total = sum(table.rows[placement].median_ms for placement in placements)
    found = table.predict(ARCHITECTURE)
    assert found.ms == pytest.approx(fit.overhead_ms + fit.scale * total + fit.per_row_ms * len(placements))
    assert found.low_ms == pytest.approx(found.ms * (1 - fit.interval_relative))
    assert found.high_ms == pytest.approx(found.ms * (1 + fit.interval_relative))
    level = table.anchors[0][1] / network_ms(Architecture.parse(table.anchors[0][0]))
    assert found.ms == pytest.approx(level * network_ms(ARCHITECTURE), rel=0.05)


def test_a_table_is_a_latency_model(table: LatencyTable) -> None:
    model: LatencyModel = table
    encodings = sample(tiny(), np.random.default_rng(0), 50)
    expected = [table.predict(tiny().decode(tuple(encoding))).ms for encoding in encodings.tolist()]
    assert model.predict_batch(tiny(), encodings) == pytest.approx(expected, rel=1e-12)
    assert model.predict_batch(tiny(), encodings[:0]).shape == (0,)


def test_an_explanation_sums_to_the_prediction(table: LatencyTable) -> None:
    parts = table.explain(ARCHITECTURE)
    assert [ms for _, ms in parts] == sorted((ms for _, ms in parts), reverse=True)
    assert sorted(str(placement) for placement, _ in parts) == sorted(map(str, ARCHITECTURE.placements))
    total = table.calibration.overhead_ms + sum(ms for _, ms in parts)
    assert total == pytest.approx(table.predict(ARCHITECTURE).ms)


def test_missing_rows_name_the_command_that_measures_them(table: LatencyTable) -> None:
    missing = table.missing(FOREIGN.placements)
    assert [str(placement) for placement in missing] == [
        "conv_c40_k7@8x4x4",
        "conv_c40_k7@40x4x4",
        "head_c8@40x4x4",
    ] or len(missing) == 3
    for ask in (table.predict, table.explain):
        with pytest.raises(MissingLatencyError) as caught:
            ask(FOREIGN)
        assert caught.value.missing == tuple(map(str, missing))
        command = f"mnas profile --arch FILE --device local --runtime fake -o {table.path}"
        assert str(caught.value).endswith(command)


def test_missing_rows_of_a_space_name_the_space(table: LatencyTable) -> None:
    other = space("mnasnet-small", classes=7, image_size=32)
    eight = replace(table, conditions=replace(table.conditions, dtype="int8", options="a=1;rows=in-network"))
    with pytest.raises(MissingLatencyError, match="--runtime fake --dtype int8 --rows in-network -o "):
        eight.check_covers(other)
    elsewhere = replace(table, path="", conditions=replace(table.conditions, num_threads=2))
    with pytest.raises(MissingLatencyError) as caught:
        elsewhere.predict_batch(other, np.zeros((2, len(other.choices)), np.int64))
    assert str(caught.value).endswith(
        "mnas profile --space mnasnet-small --classes 7 --image-size 32 --channels 1 "
        f"--device local --runtime fake --num-threads 2 -o {table.name}"
    )


def test_a_table_covers_its_space_or_names_what_is_missing_and_why(table: LatencyTable) -> None:
    table.check_covers(tiny())
    first, second, *_ = tiny().placements()
    rows = {placement: row for placement, row in table.rows.items() if placement not in (first, second)}
    lacking = replace(table, rows=rows, failed={second: "it crashed"}, path="my tables/t")
    with pytest.raises(MissingLatencyError) as caught:
        lacking.check_covers(tiny())
    assert caught.value.missing == (str(first), f"{second} (failed: it crashed)")
    assert caught.value.command == (
        "mnas profile --space tiny --classes 10 --image-size 8 --channels 1 --device local --runtime fake "
        "-o 'my tables/t'"
    )
    assert f"{second} (failed: it crashed)" in str(caught.value)


@pytest.mark.parametrize("factor", [0.3, 3.0])
def test_networks_of_another_size_are_not_priced(table: LatencyTable, factor: float) -> None:
    fit = table.calibration
    assert fit.least_ms < fit.largest_ms
    for network in table.networks:
        table.predict(Architecture.parse(network.architecture))
    total = sum(table.rows[placement].median_ms for placement in ARCHITECTURE.placements)
    far = replace(table, calibration=replace(fit, least_ms=total / factor, largest_ms=total / factor))
    message = (
        rf"sum to {total / factor:.4g} to {total / factor:.4g} ms, .*\(input 1x8x8\) to {total:.4g} ms: .* -o ANOTHER"
    )
    for ask in (far.predict, far.explain, lambda _: far.predict_batch(tiny(), np.array([(3, 1, 1, 2, 1)]))):
        with pytest.raises(CheckError, match=message):
            ask(ARCHITECTURE)


def test_networks_that_zeros_cut_off_are_priced(table: LatencyTable) -> None:
    architecture = Architecture.parse("input 1x8x8\nconv_c8_s2\nzero\nhead_c8_n10")
    row = next(iter(table.rows.values()))
    known = replace(table, rows=dict.fromkeys(architecture.placements, row))
    assert known.predict(architecture).ms < table.predict(ARCHITECTURE).ms


def test_a_table_of_an_emulated_processor_says_so(table: LatencyTable) -> None:
    table.check_real()
    emulated = replace(table, conditions=replace(table.conditions, emulated=True))
    with pytest.raises(
        CheckError, match=r"'kept.v1' was measured on an emulated processor \(device local\).*mnas profile"
    ):
        emulated.check_real()


def test_the_digest_follows_what_predictions_rest_on(table: LatencyTable) -> None:
    assert replace(table, name="x", date="never").sha256 == table.sha256
    assert replace(table, rows=dict(list(table.rows.items())[1:])).sha256 != table.sha256
    assert replace(table, calibration=replace(table.calibration, scale=2.0)).sha256 != table.sha256
    assert len(table.sha256) == 64


def test_raw_samples_are_kept(table: LatencyTable) -> None:
    samples = table.samples
    again = {f"again:{network.item}" for network in table.networks if network.role in ("anchor", "test")}
    assert set(samples["item"]) == {str(p) for p in table.rows} | {n.item for n in table.networks} | again
    assert samples["preempted"].dtype == bool
    assert samples["unit"].nunique() == table.effort.units
    assert (samples["cpu_ns"] > 0).all()
