"""Search by gradients on the command line, from profiling a space to exported files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mnas.cli.app import run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("order", ["first", "second"])
def test_from_data_to_exported_files(order: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def json_of(*arguments: object) -> dict[str, Any]:
        assert run([*map(str, arguments), "--json", "-q"]) == 0
        return dict(json.loads(capsys.readouterr().out))

    table, folder = tmp_path / "table", tmp_path / "run"
    space = ("--space", "darts-small", "--image-size", 8, "--channels", 1, "--classes", 10)
    assert json_of("profile", *space, "--runtime", "litert", "--max-minutes", 0, "-o", table)["rows"] == 51
    options = {"order": order, "epochs": 1, "images": 64, "batch": 16, "cells": 3, "channels": 2}
    settings = [word for key, value in options.items() for word in ("--set", f"searcher_options.{key}={value}")]
    evaluated = ("--set", "evaluator_options.images=100", "--set", "evaluator_options.validation=100")
    search = (
        "search",
        "--space",
        "darts-small",
        "--data",
        "digits",
        "--table",
        table,
        "--target-ms",
        5,
        "--run",
        folder,
    )
    found = json_of(*search, "--searcher", "darts", *settings, *evaluated)
    assert found["trials"]["trained"] == 1
    assert found["best"]["latency_ms"] <= 5
    assert json_of(*search, "--searcher", "darts", *settings, *evaluated)["best"] == found["best"]
    assert json_of("train", folder, "--epochs", 1, "--images", 200)["test_accuracy"] > 0.05
    exported = json_of("export", folder, "--format", "onnx,tflite", "--out", tmp_path / "out")
    assert {file["format"] for file in exported["files"]} == {"onnx", "tflite"}
