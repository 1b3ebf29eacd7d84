from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mnas.errors import ConfigError, DataError, EvaluationError, FormatError
from mnas.evaluate import SearchData
from mnas.evaluate.oneshot import SharedNetwork, SupernetSettings, train_supernet, training
from mnas.evaluate.oneshot.training import Batches, Trainer, together
from mnas.spaces import Encoding, space
from mnas.spaces.mnasnet import Stage as Block
from tests.searchers.gradients.spaces import CHAIN, images

FAST = SupernetSettings(images=32, epochs=3, batch=8, lr=0.05)
RNG = np.random.default_rng(0)


class Stop(Exception):  # noqa: N818 (no error)
    pass


def tensors(network: SharedNetwork) -> dict[str, Tensor]:
    return {key: value.detach().clone() for key, value in network.weights.tensors.items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(value, other[key]) for key, value in one.items())


def encoded(**chosen: int) -> Encoding:
    """Options of the first stage; the others are the first ones."""
    return tuple(chosen.get(choice.name.removeprefix("stage0."), 0) for choice in CHAIN.choices)


def step(network: SharedNetwork, encoding: Encoding, settings: SupernetSettings = FAST, at: int = 11) -> None:
    """One step, at the end of a training of 12, when nothing is warmed up."""
    trainer = Trainer(network, settings, 12)
    trainer.step = at
    generator = torch.Generator().manual_seed(0)
    trainer.train([encoding], torch.randn(4, 1, 8, 8, generator=generator), torch.tensor([0, 1, 2, 0]), RNG)


def test_a_step_for_a_small_kernel_changes_the_centre_of_the_large_one() -> None:
    network = SharedNetwork(CHAIN, seed=0)
    before = tensors(network)
    step(network, encoded(op=0, kernel=0, width=0), replace(FAST, weight_decay=0.0))
    key = "0.1.conv.0.weight"
    assert before[key].shape == (16, 8, 5, 5)
    moved = tensors(network)[key] != before[key]
    assert moved[:8, :, 1:4, 1:4].all()
    assert moved.sum() == 8 * 8 * 9
    others = {k for k, value in tensors(network).items() if not torch.equal(value, before[k])}
    assert not any(".mbconv." in k or ".sepconv." in k for k in others)


def test_a_step_for_several_networks_goes_along_the_mean_of_their_gradients() -> None:
    """Each has its own part of the batch."""
    plain = replace(FAST, momentum=0.0, weight_decay=0.0)
    encodings = [encoded(op=0, kernel=0), encoded(op=0, kernel=1), encoded(op=2)]
    images, labels = torch.randn(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2] * 2)

    def moved(chosen: list[Encoding], part: slice) -> dict[str, Tensor]:
        network = SharedNetwork(CHAIN, seed=0)
        before, trainer = tensors(network), Trainer(network, plain, 12)
        trainer.train(chosen, images[part], labels[part], RNG)
        return {key: value - before[key] for key, value in tensors(network).items()}

    together = moved(encodings, slice(None))
    alone = [moved([each], slice(2 * i, 2 * i + 2)) for i, each in enumerate(encodings)]
    assert any(value.any() for key, value in together.items() if ".mbconv." in key)
    for key, value in together.items():
        torch.testing.assert_close(value, sum(each[key] for each in alone) / 3, rtol=1e-4, atol=1e-7)


def test_at_the_beginning_all_ops_at_full_width_are_trained() -> None:
    for settings, kinds, channels in (
        (replace(FAST, op_warmup=0.5, filter_warmup=0.5), {"conv", "sepconv", "mbconv"}, 16),
        (replace(FAST, op_warmup=0.5, filter_warmup=0.0), {"conv", "sepconv", "mbconv"}, 8),
        (replace(FAST, op_warmup=0.0, filter_warmup=0.5), {"conv"}, 16),
        (replace(FAST, op_warmup=0.0, filter_warmup=0.0), {"conv"}, 8),
    ):
        network = SharedNetwork(CHAIN, seed=0)
        before = tensors(network)
        step(network, encoded(op=0, width=0), replace(settings, weight_decay=0.0), at=0)
        moved = {key: (value != before[key]) for key, value in tensors(network).items()}
        assert {key.split(".")[2] for key, value in moved.items() if value.any() and key.startswith("0.")} == kinds
        kernel = moved["0.1.conv.0.weight"]
        assert kernel.flatten(1).any(1).sum() == channels


def test_warm_ups_become_rarer_and_end() -> None:
    trainer = Trainer(SharedNetwork(CHAIN, seed=0), FAST, 4000)
    rng = np.random.default_rng(0)

    def share(at: int) -> float:
        trainer.step = at
        return float(np.mean([trainer._warms(0.25, rng) for _ in range(2000)]))

    assert share(0) == 1
    assert share(500) == pytest.approx(0.5, abs=0.05)
    assert share(1000) == share(3999) == 0


@pytest.mark.slow
def test_an_interrupted_training_ends_with_the_same_weights(
    tmp_path: Path, rows: SearchData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SAVE_SECONDS", 0.0)
    whole = tensors(train_supernet(CHAIN, rows, tmp_path / "whole.pt", FAST))
    for at in (1, 5, 11):

        def stop(done: int, total: int, note: str, at: int = at) -> None:
            assert total == 12
            assert "loss" in note
            if done == at:
                raise Stop

        file = tmp_path / f"{at}.pt"
        with pytest.raises(Stop):
            train_supernet(CHAIN, rows, file, FAST, progress=stop)
        assert file.exists() == (at > 1)
        assert same(tensors(train_supernet(CHAIN, rows, file, FAST)), whole)
        assert file.read_bytes() == (tmp_path / "whole.pt").read_bytes()
    assert not same(tensors(train_supernet(CHAIN, rows, tmp_path / "other.pt", FAST, seed=1)), whole)


def test_workers_do_not_change_the_weights(tmp_path: Path, rows: SearchData) -> None:
    settings = replace(FAST, networks=3, op_warmup=0.5)
    train_supernet(CHAIN, rows, tmp_path / "one.pt", settings)
    train_supernet(CHAIN, rows, tmp_path / "three.pt", settings, workers=3)
    assert (tmp_path / "one.pt").read_bytes() == (tmp_path / "three.pt").read_bytes()


def test_an_error_of_a_worker_reaches_the_caller(
    tmp_path: Path, rows: SearchData, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise Stop(threading.current_thread().name)

    monkeypatch.setattr(SharedNetwork, "__call__", stop)
    with pytest.raises(Stop, match="mnas-supernet"):
        train_supernet(CHAIN, rows, tmp_path / "w.pt", replace(FAST, networks=2), workers=2)


def test_only_processors_are_kept_busy_by_several_threads() -> None:
    for workers, device in ((0, "cpu"), (1, "cpu"), (8, "mps"), (8, "cuda:1")):
        with together(workers, device) as pool:
            assert pool is None
    with together(2, "cpu") as pool:
        assert pool is not None
        assert set(pool.map(lambda _: torch.get_num_threads(), range(4))) == {1}


def test_a_finished_training_is_not_repeated(tmp_path: Path, rows: SearchData) -> None:
    first = train_supernet(CHAIN, rows, tmp_path / "w.pt", FAST)
    seen: list[int] = []
    again = train_supernet(CHAIN, rows, tmp_path / "w.pt", FAST, progress=lambda done, total, note: seen.append(done))
    assert not seen
    assert same(tensors(first), tensors(again))


def test_another_training_is_named(tmp_path: Path, rows: SearchData) -> None:
    train_supernet(CHAIN, rows, tmp_path / "w.pt", FAST)
    with pytest.raises(ConfigError, match=r"another training: seed \(0 there, 1 here\)"):
        train_supernet(CHAIN, rows, tmp_path / "w.pt", FAST, seed=1)
    with pytest.raises(ConfigError, match=r"lr \(0.05 there, 0.1 here\)"):
        train_supernet(CHAIN, rows, tmp_path / "w.pt", replace(FAST, lr=0.1))
    stages = replace(CHAIN, stages=(Block(8, 2, 1), Block(16, 1, 2)), name="other")
    with pytest.raises(ConfigError, match=r"space \('chain' there, 'other' here\)"):
        train_supernet(stages, rows, tmp_path / "w.pt", FAST)


def test_damaged_files_are_refused(tmp_path: Path, rows: SearchData) -> None:
    file = tmp_path / "w.pt"
    train_supernet(CHAIN, rows, file, FAST)
    content = file.read_bytes()
    torch.save({"format": "mnas.supernet/0"}, tmp_path / "old.pt")
    with pytest.raises(FormatError, match="another version"):
        train_supernet(CHAIN, rows, tmp_path / "old.pt", FAST)
    for damage in (content[: len(content) // 2], b"", b"no weights"):
        file.write_bytes(damage)
        with pytest.raises(FormatError, match="remove it to train again"):
            train_supernet(CHAIN, rows, file, FAST)


def test_a_loss_that_is_no_number_ends_it(tmp_path: Path, rows: SearchData) -> None:
    with pytest.raises(EvaluationError, match=r"diverged: the loss is .*learning rate of 1e\+30 may be too high"):
        train_supernet(CHAIN, rows, tmp_path / "w.pt", replace(FAST, lr=1e30, epochs=8))


def test_too_few_images_and_other_classes_are_refused(tmp_path: Path, rows: SearchData) -> None:
    with pytest.raises(DataError, match="rows has 64 training images: too few for a batch of 128"):
        train_supernet(CHAIN, rows, tmp_path / "w.pt", replace(FAST, images=200, batch=128))
    with pytest.raises(ConfigError, match="has 3 classes, rows has 4"):
        train_supernet(CHAIN, images(classes=4), tmp_path / "w.pt", FAST)
    with pytest.raises(ConfigError, match="cannot share weights"):
        train_supernet(space("nasbench201", classes=3), rows, tmp_path / "w.pt", FAST)
    assert not list(tmp_path.iterdir())


def test_every_epoch_has_all_images_in_an_order_of_its_own(rows: SearchData) -> None:
    batches = Batches(rows, CHAIN.x, 30, 8, 5, "cpu")
    assert batches.each == 3
    epochs = [torch.cat([batches[step].images for step in range(3 * i, 3 * i + 3)]) for i in (1, 0)]
    assert len(torch.unique(epochs[0], dim=0)) == 24
    assert not torch.equal(epochs[0], epochs[1])
    again = Batches(rows, CHAIN.x, 30, 8, 5, "cpu")
    assert torch.equal(again[4].images, batches[4].images)
    assert torch.equal(again[4].labels, batches[4].labels)


def test_it_learns(tmp_path: Path, rows: SearchData) -> None:
    losses: list[float] = []
    settings = SupernetSettings(images=64, epochs=25, batch=16, lr=0.05)

    def keep(done: int, total: int, note: str) -> None:
        losses.append(float(note.rsplit(maxsplit=1)[-1]))

    train_supernet(CHAIN, rows, tmp_path / "w.pt", settings, progress=keep)
    assert np.mean(losses[-20:]) < 0.3 < 0.9 < losses[0]
