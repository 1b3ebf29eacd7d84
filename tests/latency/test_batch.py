"""Batch prices are the scalar ones: same numbers, same refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnas.errors import CheckError, ConfigError, MissingLatencyError
from mnas.latency import LatencyTable, Row
from mnas.latency.batch import compile_chain
from mnas.spaces import SearchSpace, arity, sample, sample_biased, space

SMALL, FULL, CELL = space("mnasnet-small"), space("mnasnet"), space("nasbench201")


def priced(table: LatencyTable, each: SearchSpace) -> LatencyTable:
    """A table of random rows of a space, with a calibration that spans all of it."""
    rng = np.random.default_rng(0)
    rows = {p: Row(ms, ms, ms, 3, 3, 0.0) for p in each.placements() for ms in [float(rng.uniform(0.01, 1))]}
    fit = replace(table.calibration, overhead_ms=0.3, scale=1.1, per_row_ms=0.01, least_ms=1e-3, largest_ms=1e3)
    return replace(table, rows=rows, calibration=fit)


@pytest.mark.parametrize("each", [SMALL, FULL], ids=lambda s: s.name)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**31))
def test_equal_to_the_scalar_price(table: LatencyTable, each: SearchSpace, seed: int) -> None:
    prices, rng = priced(table, each), np.random.default_rng(seed)
    encodings = np.concatenate([sample(each, rng, 10), sample_biased(each, rng, 10)])
    scalar = [prices.predict(each.decode(tuple(e))).ms for e in encodings.tolist()]
    assert prices.predict_batch(each, encodings) == pytest.approx(scalar, rel=1e-9, abs=0)
    assert prices.predict_batch(each, encodings.astype(np.uint8)) == pytest.approx(scalar, rel=1e-9, abs=0)


@pytest.mark.parametrize("each", [SMALL, FULL], ids=lambda s: s.name)
def test_chain_spaces_are_compiled_and_corners_are_right(table: LatencyTable, each: SearchSpace) -> None:
    prices = priced(table, each)
    assert compile_chain(each, {p: row.median_ms for p, row in prices.rows.items()}) is not None
    corners = np.array([np.zeros(len(each.choices)), arity(each) - 1], np.int64)
    scalar = [prices.predict(each.decode(tuple(e))).ms for e in corners.tolist()]
    assert prices.predict_batch(each, corners) == pytest.approx(scalar, rel=1e-9, abs=0)
    assert prices.predict_batch(each, corners[:0]).shape == (0,)


def test_other_spaces_are_decoded(table: LatencyTable) -> None:
    assert compile_chain(CELL, {}) is None
    prices = priced(table, CELL)
    encodings = sample(CELL, np.random.default_rng(0), 5)
    scalar = [prices.predict(CELL.decode(tuple(e))).ms for e in encodings.tolist()]
    assert prices.predict_batch(CELL, encodings) == pytest.approx(scalar, rel=1e-9, abs=0)


def test_refusals_are_those_of_scalar_prices(table: LatencyTable) -> None:
    prices = priced(table, SMALL)
    encodings = sample(SMALL, np.random.default_rng(0), 50)
    used = SMALL.decode(tuple(encodings[7].tolist())).placements[2]
    without = replace(prices, rows={p: row for p, row in prices.rows.items() if p != used})
    with pytest.raises(MissingLatencyError, match="mnas profile --space mnasnet-small"):
        without.predict_batch(SMALL, encodings)
    narrow = replace(prices, calibration=replace(prices.calibration, least_ms=50.0, largest_ms=60.0))
    with pytest.raises(CheckError):
        narrow.predict_batch(SMALL, encodings)
    for bad in (-1, 99):
        wrong = encodings.copy()
        wrong[3, 0] = bad
        with pytest.raises(ConfigError, match="has options"):
            prices.predict_batch(SMALL, wrong)
