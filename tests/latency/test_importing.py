from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import pytest

from mnas.errors import CheckError, FormatError, MissingLatencyError
from mnas.ir import Architecture, Op, Placement, Shape, chain
from mnas.latency import LatencyTable, import_table, load_table, merge, report, save_table
from mnas.ops.mobile import ConvBlock, HeadV3, MBConv, Nonlinearity, SepConv
from mnas.spaces.mnasnet import round_width
from mnas.spaces.reference import reference

SHARED = Path(__file__).parents[3] / "shared" / "data" / "tables"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the published tables are not beside the repository")

SMALL = """
Conv-input:8x8x3-output:4x4x8: {count: 100, mean: 2.0, std: 0.2}
expanded_conv-input:4x4x8-output:4x4x8-expand:1-kernel:3-stride:1-idskip:1: {count: 25, mean: 1.0, std: 0.1}
expanded_conv-input:4x4x8-output:2x2x16-expand:3-kernel:5-stride:2-idskip:0: {count: 4, mean: 3.0, std: 0.3}
Conv_1-input:2x2x16-output:2x2x32: {count: 9, mean: 0.6, std: 0.03}
Logits-input:2x2x32-output:10: {count: 16, mean: 0.4, std: 0.04}
ZeroLayer-input:4x4x8-output:4x4x8: {count: 1, mean: 0.1, std: 0.0}
"""
NETWORK = Architecture.parse("input 3x8x8\nconv_c8_s2\nsepconv_c8\nmbconv_c16_k5_s2_e3\nhead_c32_n10")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


@pytest.fixture
def small(file: Path) -> LatencyTable:
    return import_table(file, device="phone", runtime="tflite").table


def test_a_network_costs_the_sum_of_its_rows(small: LatencyTable) -> None:
    estimate = small.predict(NETWORK)
    assert estimate.ms == pytest.approx(7.0)
    relu6 = Architecture.parse(
        "input 3x8x8\nconv_c8_s2_arelu6\nsepconv_c8_arelu6\nmbconv_c16_k5_s2_e3_arelu6\nhead_c32_n10_arelu6"
    )
    assert small.predict(relu6) == estimate
    spread = (0.2 + 0.1 + 0.3 + math.hypot(0.03, 0.04)) / 7.0
    assert estimate.high_ms == pytest.approx(7.0 * (1 + 1.645 * spread))
    assert estimate.low_ms == pytest.approx(7.0 * (1 - 1.645 * spread))


def test_rows_keep_count_mean_and_standard_error(small: LatencyTable) -> None:
    row = small.rows[NETWORK.placements[1]]
    assert (row.median_ms, row.rounds, row.reps, row.preempted_share) == (1.0, 25, 25, 0.0)
    assert row.ci_high_ms == pytest.approx(1 + 1.96 * 0.1 / 5)
    assert row.ci_low_ms == pytest.approx(1 - 1.96 * 0.1 / 5, rel=0.01)
    head = small.rows[NETWORK.placements[3]]
    assert head.median_ms == pytest.approx(1.0)
    assert head.rounds == 9


def test_it_says_what_it_is(file: Path, small: LatencyTable) -> None:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    c = small.conditions
    assert (c.device, c.runtime, c.runtime_version) == ("phone", "tflite", "unknown")
    assert c.options == f"imported=proxylessnas;sha256={digest[:12]}"
    assert small.facts["source"] == "small.yaml"
    assert small.facts["source_sha256"] == digest
    assert small.verdict == "unverified"
    assert "unverified: published rows" in small.summary()
    assert "nan" not in small.summary()
    assert (small.check.n, small.anchors, small.samples.empty) == (0, (), True)
    assert report(small)["check"]["mape_percent"] is None
    assert json.dumps(report(small), allow_nan=False)


def test_what_is_left_out_is_told(file: Path) -> None:
    imported = import_table(file, device="phone")
    assert (imported.dialect, imported.keys) == ("proxylessnas", 6)
    assert imported.unsaid == {
        "ZeroLayer-input:4x4x8-output:4x4x8": "no layer of proxylessnas tables is called ZeroLayer"
    }


def test_it_is_saved_like_any_other(small: LatencyTable, tmp_path: Path) -> None:
    save_table(small, tmp_path / "t")
    again = load_table(tmp_path / "t")
    assert again.rows == small.rows
    assert again.calibration == small.calibration
    assert (again.verdict, again.remedy, again.conditions) == (small.verdict, small.remedy, small.conditions)
    assert math.isnan(again.remeasurement.mape_percent)


def test_its_rows_bound_what_it_prices(small: LatencyTable) -> None:
    stem = Architecture.parse("input 3x8x8\nconv_c8_s2")
    assert small.predict(stem).ms == pytest.approx(2.0)
    deep = chain(Shape(3, 8, 8), [ConvBlock(8, 3, 2), *[SepConv(8)] * 13])
    with pytest.raises(CheckError, match="rows sum to 1 to 7 ms"):
        small.predict(deep)


def test_rows_it_lacks_are_measured_into_another_table(small: LatencyTable) -> None:
    with pytest.raises(MissingLatencyError, match="-o ANOTHER_TABLE"):
        small.predict(Architecture.parse("input 3x8x8\nconv_c16_s2"))


def test_it_merges_with_nothing(small: LatencyTable) -> None:
    with pytest.raises(CheckError, match=r"is unverified .*only valid tables can be merged"):
        merge(small, small)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("mean: 3.0", "mean: -3.0", "row 'expanded_conv-input:4x4x8-output:2x2x16.*mean must be"),
        ("stride:2", "stride:1", "row 'expanded_conv-input:4x4x8-output:2x2x16.*gives 16x4x4, the row says 16x2x2"),
        (SMALL, "Zero-input:1x1x1: {count: 1, mean: 1, std: 0}", "none of its 1 rows is a block .*called Zero"),
    ],
)
def test_bad_files_are_refused(file: Path, old: str, new: str, message: str) -> None:
    file.write_text(SMALL.replace(old, new))
    with pytest.raises(FormatError, match=message) as caught:
        import_table(file, device="phone")
    assert str(file) in str(caught.value)


def published(block: dict[str, Any]) -> Op:
    """One block of a published network file, read independently of table keys."""
    conv = block["mobile_inverted_conv"]
    act: Nonlinearity = "hswish" if conv["act_func"] == "h_swish" else "relu"
    c, k, s, middle = (conv[key] for key in ("out_channels", "kernel_size", "stride", "mid_channels"))
    skips = s == 1 and conv["in_channels"] == c
    assert (block["shortcut"] is not None) == skips
    if middle is None:
        return SepConv(c, k, s, act)
    squeezed = round_width(middle / 4) if conv["use_se"] else 0
    return MBConv(
        c, k, s, middle // conv["in_channels"], squeezed=squeezed, act=act, gate="hsigmoid" if squeezed else "sigmoid"
    )


def once_for_all(image_size: int) -> Architecture:
    config = json.loads((SHARED / "note10_lat-30ms_net" / "net.config").read_text())
    stem = ConvBlock(config["first_conv"]["out_channels"], 3, 2, "hswish")
    last, mix = config["final_expand_layer"]["out_channels"], config["feature_mix_layer"]["out_channels"]
    ops = [stem, *map(published, config["blocks"]), HeadV3(last, mix, config["classifier"]["out_features"])]
    return chain(Shape(3, image_size, image_size), ops)


@needs_shared
def test_the_published_note10_network_takes_30_ms() -> None:
    network = once_for_all(224)
    imported = import_table(SHARED / "note10_224.yaml", device="note10")
    estimate = imported.table.predict(network)
    assert estimate.ms == pytest.approx(29.97, abs=0.005)
    assert estimate.low_ms < 29.97 < estimate.high_ms < 32
    assert (imported.dialect, imported.keys, dict(imported.unsaid)) == ("ofa", 96, {})
    assert Architecture.parse(str(network)) == network


@needs_shared
def test_mnasnet_b1_takes_83_ms_on_pixel1() -> None:
    imported = import_table(SHARED / "pixel1_mobile_trim.yaml", device="pixel1")
    assert (imported.dialect, imported.keys, dict(imported.unsaid)) == ("proxylessnas", 72, {})
    assert imported.table.predict(reference("mnasnet-b1")).ms == pytest.approx(82.9, abs=0.05)
    assert Placement.parse("mbconv_c24_e3_arelu6@24x56x56") in imported.table.rows


@needs_shared
def test_the_other_resolution_has_the_same_blocks() -> None:
    tables = [import_table(SHARED / f"note10_{size}.yaml", device="note10").table for size in (160, 224)]
    assert len(tables[0].rows) == len(tables[1].rows) == 93
    assert tables[0].predict(once_for_all(160)).ms < tables[1].predict(once_for_all(224)).ms
