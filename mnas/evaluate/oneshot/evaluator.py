"""Accuracy under shared weights, which are trained once for all networks of a space."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import torch

from mnas.errors import ConfigError
from mnas.evaluate.data import SearchData, adapt, dataset, to_hold_out
from mnas.evaluate.evaluator import evaluators
from mnas.evaluate.oneshot.chain import check_chain
from mnas.evaluate.oneshot.network import SharedNetwork
from mnas.evaluate.oneshot.settings import SupernetSettings
from mnas.evaluate.oneshot.storage import identify, load_weights
from mnas.evaluate.oneshot.training import train_supernet
from mnas.evaluate.searching import search_data
from mnas.evaluate.torch_device import check_torch_device
from mnas.evaluate.training import Normalizer, accuracy, recalibrate, threads
from mnas.ir import Architecture
from mnas.progress import Progress
from mnas.spaces import SearchSpace
from mnas.spaces import space as make_space

FILE = "supernet.pt"
"""Where a run keeps the weights."""
_USUAL = SupernetSettings()
_CALIBRATION = 1024
"""Training images that batch norm is recalibrated by."""


@evaluators.register("supernet")
@dataclass(frozen=True)
class SupernetEvaluator:
    """Slices a network out of shared weights, recalibrates batch norm, and scores a fixed set of validation images.

    The weights are trained once, before the first evaluation (see `train_supernet`); then a network takes a second.
    They rank networks, roughly; the accuracies are not those of networks trained by themselves. Test images are never
    seen, and validation images train nothing. The score does not depend on the seed of the evaluation.

    Attributes:
        space: name of the search space.
        data: name or path of a data set (see `dataset`).
        folder: where the files of a named data set are, if not in their usual places.
        classes: of the networks; the data's, if not given.
        image_size: of their input, in pixels; the data's, if not given.
        channels: of their input; the data's, if not given.
        seed: of the training of the weights.
        weights: file of weights that are trained already; none are trained then.
        validation: number of validation images, as far as they are held out (20 %, up to 5,000); more than 5,000 are
            held out for the purpose, and train no weights then.
        images: number of training images; this and what follows is for the training (see `SupernetSettings`).
        epochs: passes over them.
        batch: images a step.
        networks: that a step trains, each by an equal part of the batch.
        lr: highest learning rate.
        momentum: 0..1.
        weight_decay: of weights of two or more axes.
        op_warmup: share of the steps in which all ops of a layer may be trained at once.
        filter_warmup: share of the steps in which the widest layers may be trained.
        torch_device: where to train: "cpu", "cuda", "cuda:1" or "mps".
    """

    usual_reward: ClassVar[str] = "absolute"

    space: str
    data: str
    folder: str | None = None
    classes: int | None = None
    image_size: int | None = None
    channels: int | None = None
    seed: int = 0
    weights: str | None = None
    validation: int = 5000
    images: int = _USUAL.images
    epochs: int = _USUAL.epochs
    batch: int = _USUAL.batch
    networks: int = _USUAL.networks
    lr: float = _USUAL.lr
    momentum: float = _USUAL.momentum
    weight_decay: float = _USUAL.weight_decay
    op_warmup: float = _USUAL.op_warmup
    filter_warmup: float = _USUAL.filter_warmup
    torch_device: str = "cpu"

    def __post_init__(self) -> None:
        if self.validation < 1:
            raise ConfigError(f"validation must be at least 1 image, got {self.validation}")
        check_torch_device(self.torch_device)
        self._settings  # noqa: B018 (raises ConfigError)
        check_chain(make_space(self.space, classes=self.classes, image_size=self.image_size, channels=self.channels))

    def prepare(self, folder: Path, progress: Progress | None = None, *, workers: int = 1) -> SupernetEvaluator:
        """Train the weights into `folder`, or go on with a training there (see `Preparing`)."""
        if self.weights is not None:
            return self
        file = folder / FILE
        space = self._space
        train_supernet(
            space,
            search_data(self.data, space, folder=self.folder, validation=self.validation),
            file,
            self._settings,
            seed=self.seed,
            torch_device=self.torch_device,
            workers=workers,
            progress=progress,
        )
        return replace(self, weights=str(file))

    def __call__(self, architecture: Architecture, seed: int) -> float:
        """Validation accuracy under the shared weights, 0..1, whatever the seed.

        Raises:
            ConfigError: no weights, weights of another space or data set or whose training is not over, or not a
                network of the space.
        """
        if self.weights is None:
            raise ConfigError(
                "evaluator 'supernet' has no weights yet: mnas search trains them; elsewhere name a file that a search "
                f"or train_supernet made (weights=RUN/{FILE})"
            )
        try:
            changed = Path(self.weights).stat().st_mtime_ns
        except OSError as error:
            raise ConfigError(f"cannot read the shared weights {self.weights}: {error.strerror}") from None
        with threads(1):
            shared, data = _opened(self, changed)
            normalize = Normalizer(data.mean, data.std, self.torch_device)
            path = shared.chain.recognise(architecture.canonical())
            network = shared.network(path).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            recalibrate(network, data.train, normalize)
            return accuracy(network, data.validation, normalize)

    @property
    def _settings(self) -> SupernetSettings:
        return SupernetSettings(**{each.name: getattr(self, each.name) for each in fields(SupernetSettings)})

    @property
    def _space(self) -> SearchSpace:
        """The space, with what the data decides filled in."""
        whole = dataset(self.data, folder=self.folder)
        c, h, _ = whole.shape
        return make_space(
            self.space,
            classes=self.classes or len(whole.classes),
            image_size=self.image_size or h,
            channels=self.channels or c,
        )


@lru_cache(maxsize=2)
def _opened(evaluator: SupernetEvaluator, _mtime_ns: int) -> tuple[SharedNetwork, SearchData]:
    """The trained network of an evaluator with weights, and the images that it takes."""
    space, file = evaluator._space, Path(str(evaluator.weights))
    stored = load_weights(file)
    whole = search_data(evaluator.data, space, folder=evaluator.folder, validation=stored.held_out)
    stored.check(identify(space, whole, SupernetSettings(), 0), file, ("space", "x", "classes", "data"))
    if (to_hold_out(evaluator.validation) or 0) > stored.held_out:
        raise ConfigError(
            f"{evaluator.validation} validation images are asked for, but the training of {file} held out "
            f"{stored.held_out}: train weights with validation={evaluator.validation}, or take fewer"
        )
    if not stored.finished:
        raise ConfigError(
            f"the training of {file} is at step {stored.step} of {stored.steps}: go on with it (the same mnas search, "
            "or train_supernet) before networks are evaluated"
        )
    shared = SharedNetwork(space, 0, evaluator.torch_device)
    shared.weights.load(stored.weights)
    return shared, adapt(whole.first(_CALIBRATION, evaluator.validation), space.x)
