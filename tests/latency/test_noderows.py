from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mnas.devices import Device, device
from mnas.errors import CheckError, ConfigError
from mnas.ir import Architecture, Shape
from mnas.latency import profile
from mnas.latency.filter import visits
from mnas.latency.noderows import (
    NodeRows,
    bundles,
    cover_networks,
    node_rows,
    row_samples,
    unattributed_share,
    whole_conditions,
)
from mnas.latency.scheme import scheme
from mnas.runtimes import COLUMNS, NODE_COLUMNS, Measurement, NodeMeasurement, Plan, runtimes
from mnas.spaces import space
from mnas.spaces.mnasnet import MOBILENET_V2, MnasNetSpace, Stage
from tests.latency.fakes import FakeRuntime, measure_tiny, placements_of, row_ms, tiny, true_ms

A = Architecture.parse("input 1x8x8\nconv_c8\nmbconv_c8 x2\nhead_c8_n10")
CONV, MBCONV, _, HEAD = map(str, A.placements)


def frame(*runs: tuple[int, str, list[int], list[bool]], item: str = "cover-000") -> pd.DataFrame:
    """Nodes of one item: visit, tensor, ns and preempted of each."""
    parts = []
    for i, (visit, tensor, ns, lost) in enumerate(runs):
        n = len(ns)
        columns = {
            "rep": range(n),
            "ns": ns,
            "preempted": lost,
            "node": i,
            "tensor": tensor,
            "kind": "Conv",
            "round": visit // 2,
        }
        parts.append(pd.DataFrame({**columns, "visit": visit, "item": item}))
    return pd.concat(parts)[list(NODE_COLUMNS)].astype(NODE_COLUMNS).reset_index(drop=True)


def whole(ns: int, visit: int = 0, lost: bool = False) -> list[tuple[int, str, list[int], list[bool]]]:
    """A visit of `A` with 4 runs, `ns` for each op."""
    return [(visit, tensor, [ns] * 4, [lost] * 4) for tensor in ("n0.1", "n1.2", "n2.2.0", "logits")]


def ns(samples: pd.DataFrame, item: str) -> list[int]:
    return samples[samples["item"] == item]["wall_ns"].to_list()


def test_the_nodes_of_an_op_are_its_row() -> None:
    nodes = frame(*whole(5000), (0, "n1.3", [1000] * 4, [False] * 4))
    samples = row_samples(nodes, {"cover-000": A})
    assert dict(samples.dtypes.astype(str)) == dict(pd.DataFrame(columns=[*COLUMNS]).astype(COLUMNS).dtypes.astype(str))
    assert samples["item"].to_list() == [CONV, MBCONV, MBCONV, HEAD]
    assert ns(samples, MBCONV) == [6000, 5000]
    assert (samples["wall_ns"] == samples["cpu_ns"]).all()


def test_whole_microseconds_are_averaged() -> None:
    nodes = frame(*whole(5500), (1, "n0.1", [4500, 5500, 5500, 5500], [False] * 4))
    assert ns(row_samples(nodes, {"cover-000": A}), CONV) == [5500, 5250]


def test_preempted_runs_are_left_out_where_half_remains() -> None:
    lost = [True, False, True, False]
    nodes = frame(*whole(5000), (1, "n0.1", [5600, 5000, 5600, 5000], lost), (2, "n0.1", [5600] * 4, [True] * 4))
    samples = row_samples(nodes, {"cover-000": A}).set_index("visit")
    conv = samples[samples["item"] == CONV]
    assert conv["wall_ns"].to_dict() == {0: 5000, 1: 5000, 2: 5600}
    assert conv["preempted"].to_dict() == {0: False, 1: False, 2: True}


def test_a_node_that_lost_the_core_does_not_count() -> None:
    nodes = frame(*whole(5000), (1, "n0.1", [40_000, 40_500, 41_000, 4_000_000], [True] * 4))
    assert ns(row_samples(nodes, {"cover-000": A}), CONV) == [5000, 40_500]


def test_what_the_profiler_adds_is_taken_off_every_node() -> None:
    nodes = frame(*whole(5000), (0, "n1.3", [1000] * 4, [False] * 4))
    samples = row_samples(nodes, {"cover-000": A}, 2000.0)
    assert samples["wall_ns"].to_list() == [3000, 3000, 3000, 3000]


def test_an_op_that_became_part_of_another_takes_no_time() -> None:
    samples = row_samples(frame(*whole(5000)[:3]), {"cover-000": A})
    assert ns(samples, HEAD) == [0]
    cell = space("nasbench201", image_size=8).decode((1, 0, 2, 1, 2, 3))
    texts = set(row_samples(frame(*whole(5000)[:1]), {"cover-000": cell})["item"])
    assert {"identity@16x8x8", "zero@16x8x8", "identity@16x8x8+16x8x8"} <= texts


def test_what_belongs_to_no_op_is_told() -> None:
    assert unattributed_share(frame(*whole(5000)), {"cover-000": A}) == 0
    strange = frame(*whole(5000), (0, "", [3000] * 4, [False] * 4), (0, "n9", [2000] * 4, [False] * 4))
    assert unattributed_share(strange, {"cover-000": A}) == pytest.approx(0.2)
    assert ns(row_samples(strange, {"cover-000": A}), CONV) == [5000]


class FakeProfiler(FakeRuntime):
    """A fake runtime whose nodes are the ops of its models, each as dear as its row, half a microsecond cut off."""

    lost_share = 0.0

    def measure_nodes(
        self, device: Device, models: Mapping[str, Path], plan: Plan, profiled: Collection[str]
    ) -> NodeMeasurement:
        found = self.measure(device, models, plan)
        texts = {name: self.text(models[name]) for name in profiled if name not in found.failed}
        parts = [pd.DataFrame(columns=list(NODE_COLUMNS))]
        for name, text in texts.items():
            runs = found.samples[found.samples["item"] == name]
            slow = runs["wall_ns"].to_numpy() / true_ms(text)
            for i, placement in enumerate(placements_of(text)):
                own = runs[["item", "visit", "round", "rep", "preempted"]].copy()
                parts.append(own.assign(node=i, kind="Conv", tensor=f"n{i}.0", ns=slow * row_ms(placement)))
            parts.append(parts[-1].assign(tensor="?", ns=parts[-1]["ns"] * self.lost_share))
        return NodeMeasurement(found, pd.concat(parts[1:] or parts).astype(NODE_COLUMNS))

    def text(self, path: Path) -> str:
        from mnas.lower import read_metadata

        return read_metadata(path.read_bytes(), "tflite")["architecture"]


@dataclass
class PhoneProfiler(FakeProfiler):
    """The same, but every visit starts a process."""

    start_s: float = 0.5
    started: int = 0

    def starts(self, models: int, plan: Plan) -> int:
        return models * plan.passes

    def measure(self, device: Device, models: Mapping[str, Path], plan: Plan) -> Measurement:
        self.started += len(models) * plan.passes
        return super().measure(device, models, plan)


@pytest.fixture
def profiler(fake: FakeRuntime) -> FakeProfiler:
    """Registered in place of the fake runtime."""
    del runtimes._entries["fake"]
    each = FakeProfiler(swing=0.1, noise=0.01)
    runtimes.register("fake")(each)
    return each


def test_a_table_of_in_network_rows_prices_networks(profiler: FakeProfiler, tmp_path: Path) -> None:
    table = measure_tiny(tmp_path / "t", rows="in-network")
    assert table.missing(tiny().placements()) == ()
    assert "rows=in-network" in table.conditions.options.split(";")
    assert "rows=in-network" not in whole_conditions(table.conditions).options
    assert table.check.mape_percent < 3
    ratios = np.array([row.median_ms / row_ms(placement) for placement, row in table.rows.items()])
    assert np.abs(ratios / np.median(ratios) - 1).max() < 0.1
    assert not any(item.startswith("cover") for item in table.samples["item"])


def test_a_finished_table_gains_the_rows_of_another_network(profiler: FakeProfiler, tmp_path: Path) -> None:
    measure_tiny(tmp_path / "t", rows="in-network")
    network = Architecture.parse("input 1x8x8\nconv_c8_s2\nmbconv_c24_k5\nhead_c8_n10")
    calls = len(profiler.calls)
    table = measure_tiny(tmp_path / "t", rows="in-network", architectures=[network])
    assert table.missing(network.placements) == ()
    assert len(profiler.calls) > calls
    calls = len(profiler.calls)
    assert measure_tiny(tmp_path / "t", rows="in-network") == table
    assert len(profiler.calls) == calls


def test_tables_of_both_kinds_do_not_mix(profiler: FakeProfiler, tmp_path: Path) -> None:
    measure_tiny(tmp_path / "t")
    network = Architecture.parse("input 1x8x8\nconv_c8_s2\nmbconv_c24_k5\nhead_c8_n10")
    with pytest.raises(ConfigError, match="rows=in-network"):
        measure_tiny(tmp_path / "t", rows="in-network", architectures=[network])


def test_rows_and_whole_networks_are_visits_in_order_of_time(profiler: FakeProfiler, tmp_path: Path) -> None:
    from mnas.latency.models import write_models

    networks = {"cover-000": A, "network-00": A}
    runtime = node_rows(profiler, "in-network", {"cover-000": A})
    assert isinstance(runtime, NodeRows)
    files = write_models(networks, tmp_path, runtime, 0).files
    found = runtime.measure(device("local"), files, Plan(passes=3, reps=4))
    assert "rows=in-network" in found.conditions.options
    each = visits(found.samples.assign(unit=0), "wall_ns")
    assert each.groupby("item").size().to_dict() == {"network-00": 3, CONV: 3, MBCONV: 6, HEAD: 3}
    assert (each["round"].diff().dropna() >= 0).all()
    assert each["visit"].to_list() == list(range(15))


def test_much_unattributed_time_is_refused(profiler: FakeProfiler, tmp_path: Path) -> None:
    profiler.lost_share = 0.5
    with pytest.raises(CheckError, match="belongs to no op"):
        measure_tiny(tmp_path / "t", rows="in-network")


def test_a_runtime_that_cannot_is_refused_with_one_that_can(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"litert cannot time the nodes.*onnxruntime"):
        profile(tiny(), runtime="litert", rows="in-network", out=tmp_path / "t")
    assert not list(tmp_path.glob("t*"))


@pytest.fixture
def phone(fake: FakeRuntime) -> PhoneProfiler:
    """Registered in place of the fake runtime."""
    del runtimes._entries["fake"]
    each = PhoneProfiler(swing=0.05, noise=0.01)
    runtimes.register("fake")(each)
    return each


def test_bundles_are_the_default_where_visits_start_processes(phone: PhoneProfiler, tmp_path: Path) -> None:
    table = profile(tiny(), runtime="fake", out=tmp_path / "t", max_minutes=0)
    assert table.conditions.options == "rows=bundled"
    assert whole_conditions(table.conditions).options == ""
    assert table.missing(tiny().placements()) == ()
    ratios = np.array([row.median_ms / row_ms(placement) for placement, row in table.rows.items()])
    assert np.abs(ratios / np.median(ratios) - 1).max() < 0.05
    assert {row.rounds for row in table.rows.values()} == {3}
    assert table.rows_remeasurement.n == len(table.rows)
    assert [n.role for n in table.networks].count("anchor") == 8
    assert table.check.n == 6
    assert table.check.mape_percent < 5
    assert table.effort.starts == phone.started == 3 + (8 + 9 + 6) + 6
    assert "rows isolated" not in table.remedy


def test_a_table_of_bundled_rows_grows(phone: PhoneProfiler, tmp_path: Path) -> None:
    before = profile(tiny(), runtime="fake", out=tmp_path / "t", max_minutes=0)
    network = Architecture.parse("input 1x8x8\nconv_c8_s2\nmbconv_c24_k5\nhead_c8_n10")
    phone.slowness = 1.5
    table = profile(None, runtime="fake", out=tmp_path / "t", architectures=[network], max_minutes=0)
    assert table.missing(network.placements) == ()
    assert table.effort.starts == before.effort.starts + 3 * (8 + 1) == phone.started
    old = np.median([row.median_ms / row_ms(placement) for placement, row in before.rows.items()])
    for fresh in set(table.rows) - set(before.rows):
        assert table.rows[fresh].median_ms == pytest.approx(old * row_ms(fresh), rel=0.05)


@pytest.mark.slow
def test_900_rows_take_no_more_than_60_starts(phone: PhoneProfiler, tmp_path: Path) -> None:
    """Counted, with networks, test and second pass; one more asks the real tool what it can, in each of four units."""
    stages = tuple(Stage(max(8, stage.c // 2), stage.n, stage.s) for stage in MOBILENET_V2[:6])
    each = MnasNetSpace("many", Shape(3, 32, 32), 10, stages, 16, 64, ("none", "identity", "pool"))
    table = profile(each, runtime="fake", out=tmp_path / "t", max_minutes=0)
    assert len(table.rows) == len(tuple(each.placements())) == 988
    assert phone.started == table.effort.starts
    assert phone.started + table.effort.units <= 60


@pytest.mark.slow
def test_900_rows_of_large_maps_are_planned_within_60_starts() -> None:
    rows = tuple(space("mnasnet").placements())
    for chosen in (rows[:900], rows[-900:], rows[:: len(rows) // 900 + 1], rows):
        numbers, rounds = scheme(PhoneProfiler(), "bundled"), bundles(chosen, 2.0, 0)
        visits = sum(map(len, rounds)) + sum(numbers.networks) + numbers.networks[2]
        assert numbers.loads * numbers.repeats[0].passes == 1
        assert visits + len(rounds) + 1 <= 60


def test_a_row_that_breaks_its_bundles_is_told(phone: PhoneProfiler, tmp_path: Path) -> None:
    rows = tuple(tiny().placements())
    culprit = rows[5]
    phone.broken = frozenset([str(culprit)])
    table = profile(tiny(), runtime="fake", out=tmp_path / "t", max_minutes=0)
    assert list(table.failed.items()) == [(culprit, "it crashed")]
    assert set(table.rows) == set(rows) - {culprit}
    assert {row.rounds for row in table.rows.values()} == {1}


def test_nothing_is_sought_where_nothing_runs(phone: PhoneProfiler, tmp_path: Path) -> None:
    networks = (tiny().decode(tuple(map(int, each))) for each in np.ndindex(4, 2, 2, 3, 3))
    phone.broken = frozenset(map(str, (*tiny().placements(), *networks)))
    with pytest.raises(CheckError, match="nothing could be measured; the first reason: it crashed"):
        profile(tiny(), runtime="fake", out=tmp_path / "t", max_minutes=0)
    assert len(phone.calls) == 3


def test_bundled_int8_rows_of_onnx_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"bundled int8 rows.*--rows in-network"):
        profile(tiny(), runtime="onnxruntime", dtype="int8", rows="bundled", out=tmp_path / "t")


def test_given_networks_hold_their_own_rows() -> None:
    assert list(cover_networks(None, [A], A.placements[:1], 0).values()) == [A]
    other = replace(A, nodes=A.nodes[:1])
    assert list(cover_networks(None, [A, other], A.placements[1:2], 0).values()) == [A]


def test_rows_occur_less_often_where_networks_take_long() -> None:
    each = space("mnasnet-small")
    rows = list(each.placements())
    assert len(cover_networks(each, (), rows, 0)) == 3 * 108
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mnas.latency.noderows._SWEEP_S", 1e-6)
        assert len(cover_networks(each, (), rows, 0)) == 108


@pytest.mark.slow
def test_rows_of_real_networks(tmp_path: Path) -> None:
    each = tiny(stages=2)
    table = profile(
        each, runtime="onnxruntime", rows="in-network", out=tmp_path / "t", passes=2, reps=4, networks=(8, 6, 6),
        max_minutes=0,
    )  # fmt: skip
    assert table.missing(each.placements()) == ()
    assert all(0 < row.median_ms < 100 for row in table.rows.values())
    assert not list(tmp_path.glob("*.partial"))
