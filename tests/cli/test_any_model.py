"""docs/any_model.md as it is written, on a small model of torch."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import onnx
import pytest
import torch
from onnx import helper

from mnas.cli.app import run
from tests.reading.foreign import Mobile, exported

TEXT = (Path(__file__).parents[2] / "docs" / "any_model.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_documented_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    net = Mobile(((1, 16, 1, 1), (4, 24, 2, 2), (4, 32, 2, 2)), 16, 64)
    Path("model.onnx").write_bytes(exported(net, torch.zeros(1, 3, 96, 96)))
    lines = [line for line in TEXT.splitlines() if line.startswith("mnas ")]
    assert len(lines) == 3
    documents = []
    for line in lines:
        assert run([*shlex.split(line)[1:], "--json"]) == 0
        documents.append(json.loads(capsys.readouterr().out))
    measured, predicted, benched = documents
    assert measured["failed"] == 0
    assert (predicted["coverage"], predicted["coverage_nodes"], predicted["unknown"]) == (1.0, 1.0, [])
    (found,) = benched["results"]
    assert found["predicted_ms"] == pytest.approx(predicted["total_ms"])
    assert found["anchored_ms"] == pytest.approx(found["predicted_ms"], rel=0.5)  # a busy machine
    (snippet,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    exec(snippet, {})  # documentation of ours
    ms, rest = capsys.readouterr().out.splitlines()
    assert float(ms) == pytest.approx(predicted["total_ms"])
    assert rest == "1.0 []"
    _check_refusals(capsys)


def _check_refusals(capsys: pytest.CaptureFixture[str]) -> None:
    """Rows that are missing, operators that are unknown."""
    model = onnx.load("model.onnx")
    model.graph.output[0].name = "soft"
    last = model.graph.node[-1].output[0]
    model.graph.node.append(helper.make_node("Softmax", [last], ["soft"], name="the_softmax"))
    onnx.save(model, "soft.onnx")
    assert run(["predict", "soft.onnx", "--table", "model_table"]) == 1
    assert "the_softmax (Softmax)" in capsys.readouterr().err
    assert run(["predict", "soft.onnx", "--table", "model_table", "--skip-unknown"]) == 0
    assert "not priced: the_softmax (Softmax)" in capsys.readouterr().out.replace("\n", " ")
    other = Mobile(((1, 8, 1, 1),), 8, 32)
    Path("other.onnx").write_bytes(exported(other, torch.zeros(1, 3, 96, 96)))
    assert run(["predict", "other.onnx", "--table", "model_table"]) == 5
    assert "mnas profile --space primitives --from other.onnx" in capsys.readouterr().err


def test_what_the_command_line_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "t")
    assert run(["profile", "--space", "primitives", "-o", out]) == 2
    assert "--space primitives --from MODEL.onnx" in capsys.readouterr().err
    assert run(["profile", "--space", "mnasnet-small", "--from", "model.onnx", "-o", out]) == 2
    assert "--from names the model of --space primitives" in capsys.readouterr().err
    assert run(["profile", "--space", "primitives", "--from", "absent.onnx", "-o", out]) == 1
    assert "cannot read absent.onnx" in capsys.readouterr().err
