"""Searches that do not train every network, on the command line: from data and a table to exported files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mnas.cli.app import run

pytestmark = pytest.mark.slow
CELLS = ("--space", "darts-small", "--image-size", "8", "--channels", "1", "--classes", "10")
CHAIN = ("--space", "mnasnet-small", "--image-size", "8", "--channels", "1", "--classes", "10")
DARTS = {"epochs": 1, "images": 64, "batch": 16}
SHARED = {"epochs": 1, "images": 64, "batch": 16}


def json_of(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert run([*map(str, arguments), "--json", "-q"]) == 0
    return dict(json.loads(capsys.readouterr().out))


def options(role: str, **given: object) -> list[str]:
    return [word for key, value in given.items() for word in ("--set", f"{role}_options.{key}={value}")]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, ...], Path]:
    folder = tmp_path_factory.mktemp("tables")
    out: dict[tuple[str, ...], Path] = {CELLS: folder / "cells", CHAIN: folder / "chain"}
    for space, table in out.items():
        assert run(["profile", *space, "--runtime", "litert", "--max-minutes", "0", "-q", "-o", str(table)]) == 0
    return out


@pytest.mark.parametrize(
    ("space", "how", "status"),
    [
        (CELLS, ["--searcher", "darts", *options("searcher", order="first", cells=3, channels=2, **DARTS)], "trained"),
        (CELLS, ["--searcher", "darts", *options("searcher", order="second", cells=3, channels=2, **DARTS)], "trained"),
        (CHAIN, ["--searcher", "darts", *options("searcher", **DARTS)], "trained"),
        (CHAIN, ["--searcher", "tunas", *options("searcher", **SHARED)], "trained"),
        (CHAIN, ["--searcher", "reinforce", "--evaluator", "supernet", *options("evaluator", **SHARED)], "trained"),
        (CHAIN, ["--searcher", "random", "--evaluator", "naswot", *options("evaluator", images=32)], "scored"),
        (CELLS, ["--searcher", "evolution", "--evaluator", "naswot", *options("evaluator", images=32)], "scored"),
    ],
    ids=["darts-first", "darts-second", "darts-mbconv", "tunas", "supernet", "naswot", "naswot-cells"],
)
def test_from_data_to_exported_files(
    space: tuple[str, ...],
    how: list[str],
    status: str,
    tables: dict[tuple[str, ...], Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "run"
    search = ["search", *space[:2], "--data", "digits", "--table", tables[space], "--target-ms", 5, "--trials", 4]
    search = [*search, *how, "--workers", 0, "--run", folder]
    if "--evaluator" not in how:
        search += options("evaluator", images=100, validation=100)
    found = json_of(capsys, *search)
    assert found["trials"][status] >= 1
    assert found["best"]["latency_ms"] <= 5
    assert json_of(capsys, *search)["best"] == found["best"]
    assert json_of(capsys, "train", folder, "--epochs", 1, "--images", 200)["test_accuracy"] > 0.05
    exported = json_of(capsys, "export", folder, "--format", "onnx,tflite", "--out", tmp_path / "out")
    assert {file["format"] for file in exported["files"]} == {"onnx", "tflite"}


def test_unknown_searchers_are_told_all_that_are_known(
    tables: dict[tuple[str, ...], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = ("--table", str(tables[CHAIN]), "--target-ms", "1", "--run", str(tmp_path / "run"))
    assert run(["search", "--space", "mnasnet-small", "--data", "digits", *table, "--searcher", "dart"]) == 2
    message = capsys.readouterr().err
    assert "unknown searcher 'dart'; known: darts, evolution, local," in message
    assert "tunas" in message
