from __future__ import annotations

import json
from pathlib import Path

import pytest

from mnas.cli.app import run
from mnas.runtimes import runtimes
from tests.latency.fakes import FakeRuntime, install, measure_tiny

NETWORK = "input 1x8x8\nconv_c8_s2\nsepconv_c8_k7\nhead_c8_n10\n"


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A network that the table `t` lacks a row of."""
    monkeypatch.chdir(tmp_path)
    list(runtimes)
    install(FakeRuntime(swing=0.05, noise=0.01))
    measure_tiny(tmp_path / "t")
    del runtimes._entries["fake"]
    Path("network.txt").write_text(NETWORK)
    return "network.txt"


def test_missing_rows_stop_or_are_estimated(network: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["predict", network, "--table", "t"]) == 5
    assert "sepconv_c8_k7@8x4x4" in capsys.readouterr().err
    assert run(["predict", network, "--table", "t", "--on-missing", "estimate", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    flagged = [row for row in document["rows"] if row["estimated"]]
    assert [row["placement"] for row in flagged] == ["sepconv_c8_k7@8x4x4"]
    share = flagged[0]["ms"] / sum(row["ms"] for row in document["rows"])
    assert document["estimated_share"] == pytest.approx(share)
    assert document["coverage"] == pytest.approx(1 - share)
    assert 0 < document["low_ms"] < document["total_ms"] < document["high_ms"]
    assert run(["predict", network, "--table", "t", "--on-missing", "estimate"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "sepconv_c8_k7@8x4x4 (estimated)" in shown
    assert f"{100 * share:.1f} % of the ms of rows are estimated, not measured" in shown


def test_nothing_is_estimated_where_nothing_is_missing(network: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(network).write_text(NETWORK.replace("_k7", ""))
    documents = []
    for flags in ([], ["--on-missing", "estimate"]):
        assert run(["predict", network, "--table", "t", "--json", *flags]) == 0
        documents.append(json.loads(capsys.readouterr().out))
    assert documents[0] == documents[1]
    assert (documents[0]["coverage"], documents[0]["estimated_share"]) == (1.0, 0.0)
