"""Exports: what is in a file, what it says of itself, and that a wrong one is never written."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnas.deploy import exporting
from mnas.deploy.exporting import export
from mnas.errors import CheckError, ConfigError
from mnas.evaluate import Recipe, TrainedNetwork, dataset, train
from mnas.ir import Architecture
from mnas.lower import lower, read_metadata

SMALL = Architecture.parse("input 1x16x16\nconv_c8_s2\nmbconv_c16_s2_e3_se0.25\nhead_c32_n10")


@pytest.fixture(scope="module")
def network() -> TrainedNetwork:
    return train(SMALL, "digits", recipe=Recipe(epochs=4, batch=16, lr=0.05), images=800, seed=1)


def test_files_compute_what_was_trained_on_real_images(network: TrainedNetwork, tmp_path: Path) -> None:
    files = export(network, out=tmp_path)
    assert [file.path.name for file in files] == ["network.onnx", "network.tflite"]
    for file in files:
        found = file.verification
        assert found.images == len(dataset("digits").test.labels)
        assert found.top1_agreement == 1.0
        assert found.max_abs_diff <= 1e-4 * found.scale
        assert found.accuracy == pytest.approx(network.test_accuracy, abs=1e-9)
        assert found.accuracy is not None
        assert found.accuracy > 0.5  # it learnt: agreement on a constant would prove nothing
        assert (found.pad, found.transpose) == (0, 0)
        content = file.path.read_bytes()
        assert file.size_bytes == len(content)
        assert file.sha256 == hashlib.sha256(content).hexdigest()
        assert Path(file) == file.path
        json.dumps(file.to_dict())


def test_a_file_says_what_it_is(network: TrainedNetwork, tmp_path: Path) -> None:
    for file in export(network, out=tmp_path, samples=20):
        said = read_metadata(file.path.read_bytes(), file.format)
        assert Architecture.parse(said["architecture"]) == SMALL
        assert json.loads(said["classes"]) == list(network.classes)
        assert said["dataset"] == "digits"
        assert said["input_layout"] == {"onnx": "NCHW", "tflite": "NHWC"}[file.format]
        assert said["colour_order"] == "gray"
        assert said["dtype"] == "float32"
        assert json.loads(said["mean"]) == pytest.approx(network.mean, abs=1e-6)
        assert float(said["test_accuracy"]) == pytest.approx(network.test_accuracy, abs=1e-4)


def test_bytes_are_deterministic(network: TrainedNetwork, tmp_path: Path) -> None:
    once, again = (export(network, out=tmp_path / name, samples=5) for name in "ab")
    assert [file.sha256 for file in once] == [file.sha256 for file in again]


def test_a_dynamic_batch_is_onnx_only(network: TrainedNetwork, tmp_path: Path) -> None:
    import onnxruntime as ort

    (file,) = export(network, formats=["onnx"], out=tmp_path, samples=5, dynamic_batch=True)
    session = ort.InferenceSession(str(file.path), providers=["CPUExecutionProvider"])
    x = np.zeros((3, 1, 16, 16), np.float32)
    assert session.run(None, {session.get_inputs()[0].name: x})[0].shape == (3, 10)


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_a_file_that_differs_is_not_written(
    network: TrainedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    bent = {key: value * 1.05 if value.ndim == 4 else value for key, value in network.weights.items()}
    monkeypatch.setattr(exporting, "lower", lambda a, weights, *rest, **more: lower(a, bent, *rest, **more))
    with pytest.raises(CheckError, match=r"does not compute what was trained.*nothing was written"):
        export(network, formats=[kind], out=tmp_path, samples=50)  # type: ignore[list-item]
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_not_numbers_are_refused(network: TrainedNetwork, tmp_path: Path) -> None:
    broken = replace(network, weights={key: value * np.nan for key, value in network.weights.items()})
    with pytest.raises(CheckError):
        export(broken, out=tmp_path, samples=5)
    assert list(tmp_path.iterdir()) == []


def test_untrained_networks_are_verified_on_noise(tmp_path: Path) -> None:
    (file,) = export(TrainedNetwork.untrained(SMALL), formats=["tflite"], out=tmp_path)
    assert file.verification.accuracy is None
    assert file.verification.images == 64


def test_int8_files_stand_beside_float32(network: TrainedNetwork, tmp_path: Path) -> None:
    files = export(network, out=tmp_path, int8=True)
    names = ["network.onnx", "network.tflite", "network-int8.onnx", "network-int8.tflite"]
    assert [file.path.name for file in files] == names
    assert [file.dtype for file in files] == ["float32", "float32", "int8", "int8"]
    for file in files[2:]:
        found = file.verification
        assert found.images == len(dataset("digits").test.labels)
        assert found.accuracy is not None
        assert found.accuracy_drop is not None
        assert abs(found.accuracy_drop) <= 0.02
        assert found.accuracy == pytest.approx((network.test_accuracy or 0) - found.accuracy_drop, abs=1e-9)
        assert found.top1_agreement > 0.95
        assert 0 < found.max_abs_diff < 0.2 * found.scale
        assert (found.transpose, found.float_operators) == (0, {})
        said = read_metadata(file.path.read_bytes(), file.format)
        assert (said["dtype"], Architecture.parse(said["architecture"])) == ("int8", SMALL)
        assert "test_accuracy" not in said  # it is that of the float32 network
        json.dumps(file.to_dict())


def test_int8_that_loses_accuracy_is_not_written(
    network: TrainedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ranges that are learnt on images a hundred times too dark saturate everything."""

    def dark(*args: Any, samples: list[Any], **more: Any) -> bytes:
        return lower(*args, samples=[sample / 100 for sample in samples], **more)

    monkeypatch.setattr(exporting, "lower", dark)
    with pytest.raises(CheckError, match=r"int8 onnx file loses \d.*allowed 2.00%.*--max-accuracy-drop") as raised:
        export(network, out=tmp_path, int8=True, samples=200)
    assert raised.value.exit_code == 4
    assert list(tmp_path.iterdir()) == []
    assert len(export(network, out=tmp_path, int8=True, samples=200, max_accuracy_drop=1)) == 4


def test_untrained_networks_in_int8_are_good_for_timing(tmp_path: Path) -> None:
    files = export(TrainedNetwork.untrained(SMALL), out=tmp_path, int8=True)
    assert [(file.verification.accuracy, file.verification.accuracy_drop) for file in files] == [(None, None)] * 4


@pytest.mark.parametrize(("calibration", "drop"), [(0, 0.02), (1, 1.5), (1, float("nan"))])
def test_int8_settings_out_of_range(network: TrainedNetwork, tmp_path: Path, calibration: int, drop: float) -> None:
    with pytest.raises(ConfigError, match=r"calibration is at least 1, max_accuracy_drop 0\.\.1"):
        export(network, out=tmp_path, int8=True, calibration=calibration, max_accuracy_drop=drop)


@pytest.mark.parametrize("formats", [[], ["coreml"], ["onnx", "pt"]])
def test_unknown_formats(network: TrainedNetwork, tmp_path: Path, formats: list[str]) -> None:
    with pytest.raises(ConfigError, match="export formats are onnx, tflite"):
        export(network, formats=formats, out=tmp_path)  # type: ignore[arg-type]
