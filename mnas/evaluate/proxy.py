"""Accuracy after a short training, which ranks networks by what a long one would give."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from mnas.errors import ConfigError
from mnas.evaluate.data import SearchData, adapt, dataset, to_hold_out
from mnas.evaluate.evaluator import evaluators
from mnas.evaluate.torch_device import check_torch_device
from mnas.evaluate.training import Normalizer, Recipe, accuracy, fit, recalibrate, threads
from mnas.ir import Architecture, Shape
from mnas.lower.torch import build


@evaluators.register("proxy")
@dataclass(frozen=True)
class ProxyEvaluator:
    """Trains from scratch on a few images, recalibrates batch norm, and scores a fixed set of validation images.

    The recipe is made to tell networks apart, not for the best accuracy: small batches (many steps) and no augmentation
    make the differences between networks exceed those between seeds. Test images are never seen. The data is read
    once a process; torch uses one thread, on which the score depends to the bit.

    Attributes:
        data: name or path of a data set (see `dataset`).
        folder: where the files of a named data set are, if not in their usual places.
        images: number of training images.
        validation: number of validation images, as far as they are held out (20 %, up to 5,000); more than 5,000 are
            held out for the purpose.
        epochs: passes over them.
        batch: images a step.
        lr: highest learning rate.
        best_of: the score is the highest of the accuracies after each of so many last epochs (NAS-RL takes 5).
        torch_device: where to train: "cpu", "cuda", "cuda:1" or "mps".
    """

    data: str
    folder: str | None = None
    images: int = 2000
    validation: int = 2000
    epochs: int = 2
    batch: int = 16
    lr: float = 0.03
    best_of: int = 1
    torch_device: str = "cpu"

    def __post_init__(self) -> None:
        if self.images < 2 or self.validation < 1:
            raise ConfigError(f"needs images >= 2 and validation >= 1, got {self.images} and {self.validation}")
        check_torch_device(self.torch_device)
        self._recipe()
        if not 1 <= self.best_of <= self.epochs:
            raise ConfigError(f"best_of must be in 1..{self.epochs}, the number of epochs, got {self.best_of}")

    def __call__(self, architecture: Architecture, seed: int) -> float:
        """Validation accuracy, 0..1; equal for all spellings of a network (see `Architecture.canonical`)."""
        architecture = architecture.canonical()
        data = _loaded(self.data, self.folder, self.images, self.validation, architecture.x)
        check_classes(architecture, data.classes, data.name)
        normalize = Normalizer(data.mean, data.std, self.torch_device)
        with threads(1):
            network = build(architecture, seed)
            accuracies: list[float] = []

            def score(epoch: int) -> None:
                if epoch > self.epochs - self.best_of:
                    recalibrate(network, data.train, normalize)
                    accuracies.append(accuracy(network, data.validation, normalize))

            fit(network, data.train, self._recipe(), normalize, seed=seed, after_epoch=score)
            return max(accuracies)

    def _recipe(self) -> Recipe:
        return Recipe(self.epochs, self.batch, self.lr, weight_decay=1e-4)


def check_classes(architecture: Architecture, classes: tuple[str, ...], name: str) -> None:
    """Raise ConfigError unless the network gives one number a class."""
    if architecture.y != Shape(len(classes), 1, 1):
        raise ConfigError(f"the network gives {architecture.y}, but {name} has {len(classes)} classes")


@lru_cache(maxsize=4)
def _loaded(data: str, folder: str | None, images: int, validation: int, x: Shape) -> SearchData:
    whole = dataset(data, folder=folder, validation=to_hold_out(validation)).for_search()
    return adapt(whole.first(images, validation), x)
