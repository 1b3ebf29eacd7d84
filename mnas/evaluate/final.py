"""Training the network that will be deployed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mnas.errors import ConfigError
from mnas.evaluate.checkpoints import TrainedNetwork
from mnas.evaluate.data import Dataset, adapt, dataset
from mnas.evaluate.proxy import check_classes
from mnas.evaluate.torch_device import check_torch_device
from mnas.evaluate.training import Normalizer, Recipe, accuracy, fit, recalibrate, threads
from mnas.ir import Architecture
from mnas.lower.torch import build, weights_of
from mnas.progress import Progress


def train(
    architecture: Architecture,
    data: str | Path | Dataset,
    *,
    epochs: int | None = None,
    seed: int = 0,
    recipe: Recipe | None = None,
    folder: str | Path | None = None,
    images: int | None = None,
    num_threads: int = 1,
    torch_device: str = "cpu",
    progress: Progress | None = None,
) -> TrainedNetwork:
    """Train from scratch on the training split, then score the validation and test splits once.

    The images are brought to the network's input shape (see `adapt`). The same arguments give the same weights on the
    same machine.

    Args:
        architecture: the network; its output has one number a class.
        data: name or path of a data set (see `dataset`), or the data itself.
        epochs: passes over the images, in place of the recipe's.
        seed: of initial weights, order and augmentation.
        recipe: how to train; `Recipe()`, which has 20 epochs, if not given.
        folder: where the files of a named data set are, if not in their usual places.
        images: train on the first so many only.
        num_threads: of torch; another number gives slightly other weights.
        torch_device: where to train: "cpu", "cuda", "cuda:1" or "mps".
        progress: told steps.

    Raises:
        ConfigError: a setting out of range, a device that torch does not find, or another number of outputs than of
            classes.
        DataError: data that is missing, malformed or too small, or does not fit the network's input.
        EvaluationError: the loss is no longer a number.
    """
    recipe = recipe or Recipe()
    recipe = recipe if epochs is None else replace(recipe, epochs=epochs)
    check_torch_device(torch_device)
    if images is not None and images < 2:
        raise ConfigError(f"images must be at least 2, got {images}")
    whole = data if isinstance(data, Dataset) else dataset(data, folder=folder)
    check_classes(architecture, whole.classes, whole.name)
    fitting = adapt(whole, architecture.x)
    chosen = fitting.train if images is None else fitting.train.first(images)
    normalize = Normalizer(fitting.mean, fitting.std, torch_device)
    with threads(num_threads):
        network = build(architecture, seed)
        history = fit(network, chosen, recipe, normalize, seed=seed, progress=progress)
        recalibrate(network, chosen, normalize)
        return TrainedNetwork(
            architecture=architecture,
            weights=weights_of(network),
            dataset=fitting.name,
            classes=fitting.classes,
            mean=fitting.mean,
            std=fitting.std,
            validation_accuracy=accuracy(network, fitting.validation, normalize),
            test_accuracy=accuracy(network, fitting.test, normalize),
            seed=seed,
            recipe=recipe,
            images=len(chosen),
            history=history,
        )
