from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mnas.errors import ConfigError
from mnas.evaluate import Preparing, SupernetEvaluator, dataset, evaluators, usual_reward
from mnas.evaluate.oneshot import train_supernet, training
from mnas.evaluate.training import Normalizer, accuracy, recalibrate
from mnas.ir import Architecture
from mnas.spaces import sample, space
from tests.contracts import check_evaluator

SPACE = space("mnasnet-small", classes=10, image_size=8)
NEW = SupernetEvaluator("mnasnet-small", "digits", validation=100, images=48, epochs=1, batch=16)
NETWORKS = [SPACE.decode(tuple(each)) for each in sample(SPACE, np.random.default_rng(0), 3).tolist()]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> SupernetEvaluator:
    return NEW.prepare(tmp_path_factory.mktemp("run"))


def test_it_is_registered_and_likes_the_absolute_reward() -> None:
    assert evaluators["supernet"](space="mnasnet-small", data="digits") == SupernetEvaluator("mnasnet-small", "digits")
    assert usual_reward(evaluators["supernet"]) == "absolute"
    assert usual_reward(evaluators["proxy"]) is None
    assert isinstance(NEW, Preparing)
    assert not isinstance(evaluators["proxy"](data="digits"), Preparing)


@pytest.mark.slow
def test_it_keeps_to_its_role(prepared: SupernetEvaluator) -> None:
    check_evaluator(prepared, NETWORKS)


def test_it_scores_the_recalibrated_slice(prepared: SupernetEvaluator, tmp_path: Path) -> None:
    data = dataset("digits")
    shared = train_supernet(SPACE, data, tmp_path / "w.pt", NEW._settings)
    normalize = Normalizer(data.mean, data.std)
    network = shared.network(shared.chain.recognise(NETWORKS[0]))
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    recalibrate(network, data.train.first(1024), normalize)
    assert prepared(NETWORKS[0], 0) == accuracy(network, data.validation.first(100), normalize)
    assert prepared(NETWORKS[0], 1) == prepared(NETWORKS[0], 2)


def test_weights_are_trained_once(prepared: SupernetEvaluator, monkeypatch: pytest.MonkeyPatch) -> None:
    assert prepared.weights is not None
    assert prepared == replace(NEW, weights=prepared.weights)
    monkeypatch.setattr(training.Trainer, "train", None)
    folder = Path(prepared.weights).parent
    assert NEW.prepare(folder) == prepared
    assert prepared.prepare(folder / "elsewhere") is prepared
    with pytest.raises(ConfigError, match=r"another training: epochs \(1 there, 2 here\)"):
        replace(NEW, epochs=2).prepare(folder)


def test_weights_of_a_file_serve_other_settings_and_images(prepared: SupernetEvaluator) -> None:
    file = SupernetEvaluator("mnasnet-small", "digits", weights=prepared.weights, validation=100)
    assert file(NETWORKS[0], 0) == prepared(NETWORKS[0], 0)
    fewer = replace(file, validation=7)(NETWORKS[0], 0)
    assert (fewer * 7) == pytest.approx(round(fewer * 7))


def test_the_evaluator_never_holds_test_images(
    prepared: SupernetEvaluator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = dataset("digits")
    spoiled = replace(whole, test=whole.test.first(1))
    for module in ("oneshot.evaluator", "searching"):
        monkeypatch.setattr(f"mnas.evaluate.{module}.dataset", lambda name, **_: spoiled)
    spoilt = replace(NEW, folder="spoiled").prepare(tmp_path)
    assert spoilt(NETWORKS[0], 0) == prepared(NETWORKS[0], 0)


def test_more_validation_images_than_usual_train_no_weights(
    prepared: SupernetEvaluator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnas.evaluate.data.splits.LARGEST_VALIDATION", 200)
    many = replace(NEW, validation=1400, epochs=2)
    assert many.prepare(tmp_path).weights == str(tmp_path / "supernet.pt")
    score = replace(many, weights=str(tmp_path / "supernet.pt"))(NETWORKS[0], 0)
    assert (score * 1400) == pytest.approx(round(score * 1400))
    fewer = replace(many, weights=str(tmp_path / "supernet.pt"), validation=14)(NETWORKS[0], 0)
    assert (fewer * 14) == pytest.approx(round(fewer * 14))
    with pytest.raises(ConfigError, match=r"1400 validation images are asked for, .* held out 287: train weights with"):
        replace(NEW, weights=prepared.weights, validation=1400)(NETWORKS[0], 0)


def test_what_does_not_fit_is_refused(
    prepared: SupernetEvaluator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="has no weights yet: mnas search trains them"):
        NEW(NETWORKS[0], 0)
    with pytest.raises(ConfigError, match=r"cannot read the shared weights .*nowhere.pt"):
        replace(NEW, weights=str(tmp_path / "nowhere.pt"))(NETWORKS[0], 0)
    with pytest.raises(ConfigError, match="none of space mnasnet-small"):
        prepared(Architecture.parse("input 1x8x8\nconv_c8_s2\nhead_c16_n10"), 0)
    with pytest.raises(ConfigError, match=r"x \('1x8x8' there, '1x12x12' here\)"):
        replace(prepared, image_size=12)(NETWORKS[0], 0)
    monkeypatch.setattr(training, "SAVE_SECONDS", 0.0)

    def stop(done: int, total: int, note: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        NEW.prepare(tmp_path, stop)
    with pytest.raises(ConfigError, match="is at step 1 of 3: go on with it"):
        replace(NEW, weights=str(tmp_path / "supernet.pt"))(NETWORKS[0], 0)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"validation": 0}, "validation must be at least 1"),
        ({"batch": 1}, "at least 2 images for each of networks"),
        ({"torch_device": "gpu"}, "torch_device 'gpu'"),
        ({"space": "nasbench201"}, "cannot share weights.*mnasnet, mnasnet-small"),
        ({"space": "nowhere"}, "unknown search space"),
    ],
)
def test_settings_are_checked_at_once(setting: dict[str, object], message: str) -> None:
    with pytest.raises((ConfigError, KeyError), match=message):
        replace(NEW, **setting)  # type: ignore[arg-type]
