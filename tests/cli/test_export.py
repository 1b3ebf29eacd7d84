"""`mnas export`: what people and scripts get of int8."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mnas.cli.app import run
from mnas.cli.export import command
from mnas.deploy.verification import MAX_ACCURACY_DROP
from mnas.evaluate import Recipe, train
from mnas.ir import Architecture

SMALL = Architecture.parse("input 1x16x16\nconv_c8_s2\nmbconv_c16_s2_e3\nhead_c16_n10")
KEYS = {
    "path", "format", "dtype", "operators", "pad", "transpose", "max_abs_diff", "top1_agreement", "accuracy",
    "accuracy_drop", "float_operators", "size_bytes", "sha256",
}  # fmt: skip


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trained") / "net.npz"
    train(SMALL, "digits", recipe=Recipe(epochs=2, batch=16, lr=0.05), images=400, seed=1).save(path)
    return path


def test_scripts(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", str(checkpoint), "--int8", "--out", str(tmp_path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "mnas.export/1"
    assert [(file["format"], file["dtype"]) for file in document["files"]] == [
        (format_, dtype) for dtype in ("float32", "int8") for format_ in ("onnx", "tflite")
    ]
    assert all(file.keys() >= KEYS for file in document["files"])


def test_people(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", str(checkpoint), "--int8", "--format", "tflite", "--out", str(tmp_path)]) == 0
    assert "accuracy drop" in capsys.readouterr().out
    assert (tmp_path / "network-int8.tflite").is_file()


def test_untrained_networks_are_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "a.txt"
    text.write_text(str(SMALL))
    assert run(["export", str(text), "--int8", "--out", str(tmp_path)]) == 0
    assert "calibrated on noise: good for timing, its accuracy means nothing" in capsys.readouterr().err


def test_the_default_is_that_of_the_library() -> None:
    (option,) = (parameter for parameter in command.params if parameter.name == "max_accuracy_drop")
    assert option.default == MAX_ACCURACY_DROP
