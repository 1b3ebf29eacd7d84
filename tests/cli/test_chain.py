"""Every verb of the chain on real data, small, in both forms of output; keys that scripts rely on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mnas import demo as demonstration
from mnas.cli.app import run

pytestmark = pytest.mark.slow
TINY = replace(demonstration.QUICK, trials=2, images=100, epochs=1, train_images=400)


class Chain:
    """The folder of a finished demo, and a way to run verbs on it."""

    def __init__(self, folder: Path, document: dict[str, Any]) -> None:
        self.folder, self.document = folder, document

    def json(self, capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
        assert run([*map(str, arguments), "--json", "-q"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert document["schema"] == f"mnas.{'.'.join(str(a) for a in arguments[: 1 + (arguments[0] == 'tables')])}/1"
        return dict(document)

    def people(self, capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
        assert run([*map(str, arguments), "-q"]) == 0
        return capsys.readouterr().out


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    folder = tmp_path_factory.mktemp("chain") / "demo"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demonstration, "QUICK", TINY)
        code = run(["demo", "--quick", "--json", "-q", "--out", str(folder)])
    document = json.loads((folder / "demo.json").read_text())
    assert code in (0, 4)  # 4: measured again, it missed the target, and says so
    assert (code == 0) == document["found"]["within_target"]
    return Chain(folder, document)


def test_demo(chain: Chain) -> None:
    found, references = chain.document["found"], chain.document["references"]
    assert chain.document["dataset"] == "digits"
    assert len(references) == 3
    assert chain.document["reference"] in references
    for row in (found, *references):
        assert 0 <= row["test_accuracy"] <= 1
        assert 0.8 < row["measured_ms"] / row["predicted_ms"] < 1.25
        assert all(Path(file).is_file() for file in row["files"])
    assert found["predicted_ms"] <= chain.document["target_ms"]
    assert {file["format"] for file in chain.document["files"]} == {"onnx", "tflite"}
    assert set(chain.document["seconds"]) == {"profile", "search", "finalists", "train", "export", "bench", "total"}


def test_profile_and_tables(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    table = chain.folder / "table"
    again = chain.json(capsys, "profile", "--space", "mnasnet-small", "--image-size", 16, "-o", table)
    assert again["rows"] > 400
    assert again["failed"] == 0
    assert again["verdict"] in ("valid", "noisy", "invalid")
    assert {"n", "mape_percent", "within_10_percent", "spearman"} <= set(again["check"])
    assert chain.json(capsys, "tables", "show", table)["conditions"]["runtime"] == "litert"
    assert "remeasurement" in chain.people(capsys, "tables", "show", table)


def test_predict(chain: Chain, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    table = chain.folder / "table"
    document = chain.json(capsys, "predict", chain.folder, "--table", table)
    assert document["low_ms"] <= document["total_ms"] <= document["high_ms"]
    assert document["coverage"] == 1.0
    rows = sum(row["ms"] for row in document["rows"])
    assert rows == pytest.approx(document["total_ms"], rel=0.5)
    exported = chain.json(capsys, "predict", chain.folder / "exports" / "found.onnx", "--table", table)
    assert exported["total_ms"] > 0
    assert "90 %" in chain.people(capsys, "predict", chain.folder, "--table", table)
    other = tmp_path / "other.txt"
    other.write_text("input 1x16x16\nconv_c8_s4\nhead_c16_n10\n")
    assert run(["predict", str(other), "--table", str(table)]) == 5
    assert f"mnas profile --arch {other}" in capsys.readouterr().err


def test_search_goes_on_and_answers(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    document = chain.json(capsys, "search", "--resume", chain.folder)
    assert {"architecture", "encoding", "accuracy", "latency_ms", "reward"} <= set(document["best"])
    assert document["trials"]["trained"] == 2
    assert document["front"]
    assert "Pareto front" in chain.people(capsys, "search", "--resume", chain.folder)
    assert run(["search", "--resume", str(chain.folder), "--set", "nonsense=1"]) == 2
    assert "nonsense" in capsys.readouterr().err


def test_train_export_bench(chain: Chain, capsys: pytest.CaptureFixture[str]) -> None:
    trained = chain.json(capsys, "train", chain.folder, "--epochs", 1, "--images", 200)
    assert Path(trained["checkpoint"]) == chain.folder / "trained.npz"
    table = chain.folder / "table"
    files = chain.json(capsys, "export", chain.folder, "--table", table)["files"]
    assert [file["format"] for file in files] == ["onnx", "tflite"]
    assert all(file["top1_agreement"] >= 0.995 and file["pad"] == file["transpose"] == 0 for file in files)
    assert "verified on" in chain.people(capsys, "export", chain.folder, "--format", "tflite")
    model = chain.folder / "exports" / "network.tflite"
    (result,) = chain.json(capsys, "bench", model, "--against", table)["results"]
    assert result["p10_ms"] <= result["median_ms"] <= result["p90_ms"] * 1.05
    assert result["anchored_ms"] == pytest.approx(result["predicted_ms"], rel=0.25)
    assert "anchored" in chain.people(capsys, "bench", model, "--against", table)
