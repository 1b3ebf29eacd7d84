"""Model files that are priced: by the architecture they name, or by what they are made of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mnas.errors import ConfigError, FormatError, MissingLatencyError
from mnas.ir import Architecture, Network
from mnas.latency import LatencyTable, default_out, load_table, priced_as, profile, rows_to_measure
from mnas.lower import initial_weights, lower
from mnas.reading import ForeignModel, Unknown, primitives_of, read_model
from mnas.spaces import sample
from tests.latency.fakes import OVERHEAD_MS, PER_ROW_MS, SCALE, TINY, FakeRuntime, row_ms

ARCHITECTURE = TINY.decode((0,) * len(TINY.choices))


def written(folder: Path, network: Network = ARCHITECTURE, said: str = "") -> Path:
    path = folder / "net.tflite"
    path.write_bytes(lower(network, initial_weights(network), "tflite", {"architecture": said} if said else None))
    return path


@pytest.fixture
def primitives(fake: FakeRuntime, tmp_path: Path) -> LatencyTable:
    """A table of the primitives of `ARCHITECTURE`."""
    each = primitives_of(written(tmp_path))
    return profile(each, runtime="fake", out=tmp_path / "t", passes=4, reps=2, networks=(8, 4, 4))


def test_a_file_is_priced_by_its_primitives(primitives: LatencyTable, tmp_path: Path) -> None:
    model = read_model(written(tmp_path))
    assert set(primitives.rows) == set(model.placements)
    network = priced_as(model, primitives)
    assert network is model
    expected = OVERHEAD_MS + SCALE * sum(map(row_ms, model.placements)) + PER_ROW_MS * len(model.placements)
    assert primitives.predict(network).ms == pytest.approx(expected, rel=0.05)
    assert primitives.predict(network).ms == pytest.approx(primitives.predict(model.architecture).ms)
    rows = primitives.explain(network)
    assert {placement for placement, _ in rows} == set(model.placements)
    overhead = primitives.calibration.overhead_ms
    assert sum(ms for _, ms in rows) + overhead == pytest.approx(primitives.predict(network).ms)


def test_the_whole_model_is_among_the_networks(primitives: LatencyTable, tmp_path: Path) -> None:
    largest = max(primitives.networks, key=lambda network: network.ms)
    assert largest.architecture == str(read_model(written(tmp_path)).architecture)
    assert largest.role == "anchor"


def test_what_mnas_wrote_is_priced_by_its_architecture_first(
    primitives: LatencyTable, table: LatencyTable, tmp_path: Path
) -> None:
    model = read_model(written(tmp_path, said=str(ARCHITECTURE)))
    assert priced_as(model, table) == ARCHITECTURE
    assert priced_as(model, primitives) is model
    rows_of_neither = replace(primitives, rows={})
    assert priced_as(model, rows_of_neither) == ARCHITECTURE
    with pytest.raises(MissingLatencyError, match="conv_c8"):
        rows_of_neither.predict(priced_as(model, rows_of_neither))


def test_unknown_operators_and_other_types_are_refused(primitives: LatencyTable, tmp_path: Path) -> None:
    model: ForeignModel = read_model(written(tmp_path))
    holed = replace(model, unknown=(Unknown("soft", "SOFTMAX", "no op does what SOFTMAX does", 0),))
    with pytest.raises(FormatError, match=r"soft \(SOFTMAX\): no op does what(.|\n)*--skip-unknown"):
        priced_as(holed, primitives)
    assert primitives.predict(priced_as(holed, primitives, skip_unknown=True)) == primitives.predict(model)
    with pytest.raises(ConfigError, match="net computes in int8, the rows of table 't' in float32"):
        priced_as(replace(model, dtype="int8"), primitives)


def test_another_file_of_the_same_kind_adds_rows(primitives: LatencyTable, tmp_path: Path) -> None:
    other = TINY.decode((0, 1, *(0 for _ in TINY.choices[2:])))  # a larger kernel
    each = primitives_of(written(tmp_path, other))
    model = read_model(tmp_path / "net.tflite")
    with pytest.raises(MissingLatencyError):
        primitives.predict(priced_as(model, primitives))
    assert rows_to_measure(each, (), tmp_path / "t")
    grown = profile(each, runtime="fake", out=tmp_path / "t")
    assert grown.rows == load_table(tmp_path / "t").rows
    assert set(grown.rows) == set(primitives.rows) | set(model.placements)
    assert grown.predict(priced_as(model, grown)).ms > 0


def test_a_table_is_named_after_the_file(tmp_path: Path) -> None:
    each = primitives_of(written(tmp_path))
    assert default_out(each, "local", "litert").name == "primitives-net-1x8x8-local-litert"
    with pytest.raises(ConfigError, match="without a space"):
        default_out(None, "local", "litert")


def test_pieces_are_architectures(tmp_path: Path) -> None:
    import numpy as np

    each = primitives_of(written(tmp_path))
    for encoding in sample(each, np.random.default_rng(0), 10).tolist():
        assert Architecture.parse(str(each.decode(tuple(encoding)))) == each.decode(tuple(encoding))
