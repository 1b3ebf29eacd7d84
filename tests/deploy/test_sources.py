"""What a user may name on a command line."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from mnas.deploy.sources import architecture_of, network_of, train_target
from mnas.errors import ConfigError, FormatError, ParseError
from mnas.evaluate import Recipe, TrainedNetwork
from mnas.ir import Architecture
from mnas.lower import initial_weights, lower
from mnas.searchers import Run
from mnas.spaces.reference import reference

SMALL = Architecture.parse("input 1x16x16\nconv_c8_s2\nhead_c16_n10")


def test_names_files_and_checkpoints(tmp_path: Path) -> None:
    text, checkpoint = tmp_path / "a.txt", tmp_path / "a.npz"
    text.write_text(f"# mine\n{SMALL}\n")
    TrainedNetwork.untrained(SMALL, 3).save(checkpoint)
    assert architecture_of("mnasnet-b1") == reference("mnasnet-b1")
    assert architecture_of(str(text)) == architecture_of(str(checkpoint)) == SMALL
    assert network_of(str(checkpoint)).seed == 3
    assert network_of(str(text), seed=5).dataset == ""


def test_what_is_none_of_these(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'vgg16' is no run folder.*published: mnasnet-a1"):
        architecture_of("vgg16")
    with pytest.raises(ConfigError, match="is not a run"):
        architecture_of(str(tmp_path))
    with pytest.raises(ConfigError, match="holds no trained network; make one with: mnas train"):
        network_of(str(tmp_path))
    bad = tmp_path / "bad.txt"
    bad.write_text("hello")
    with pytest.raises(ParseError, match="starts with a line 'input"):
        architecture_of(str(bad))
    fake = tmp_path / "fake.npz"
    fake.write_bytes(b"PK")
    with pytest.raises(FormatError):
        network_of(str(fake))


def test_models_say_their_architecture(tmp_path: Path) -> None:
    for kind in ("onnx", "tflite"):
        model = tmp_path / f"m.{kind}"
        model.write_bytes(lower(SMALL, initial_weights(SMALL), kind, {"architecture": str(SMALL)}))
        assert architecture_of(str(model)) == SMALL
        model.write_bytes(lower(SMALL, initial_weights(SMALL), kind))
        with pytest.raises(ConfigError, match="does not say its architecture"):
            architecture_of(str(model))
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ParseError, match="is no text"):
        architecture_of(str(binary))


def test_a_network_that_is_no_longer_the_best_is_not_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    best = SimpleNamespace(best=lambda: SimpleNamespace(architecture=SMALL))
    monkeypatch.setattr(Run, "open", lambda path: best)
    TrainedNetwork.untrained(SMALL).save(tmp_path / "trained.npz")
    assert network_of(str(tmp_path)).architecture == SMALL
    TrainedNetwork.untrained(Architecture.parse("input 1x16x16\nconv_c8\nhead_c16_n10")).save(tmp_path / "trained.npz")
    with pytest.raises(ConfigError, match="is another now; train it with: mnas train"):
        network_of(str(tmp_path))


def test_training_what_is_named(tmp_path: Path) -> None:
    text = tmp_path / "a.txt"
    text.write_text(str(SMALL))
    with pytest.raises(ConfigError, match="which data"):
        train_target(str(text))
    network, saved = train_target(str(text), data="digits", recipe=Recipe(epochs=1), images=64, out=tmp_path / "t.npz")
    assert saved == tmp_path / "t.npz"
    assert network_of(str(saved)).test_accuracy == network.test_accuracy
