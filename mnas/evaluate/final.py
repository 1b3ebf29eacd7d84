"""Training the network that will be deployed."""

from __future__ import annotations

from pathlib import Path

from mnas.errors import ConfigError
from mnas.evaluate.checkpoints import TrainedNetwork
from mnas.evaluate.data import Dataset, adapt, dataset
from mnas.evaluate.progress import Progress
from mnas.evaluate.proxy import check_classes
from mnas.evaluate.training import Augment, Normalizer, Recipe, accuracy, fit, recalibrate, threads
from mnas.ir import Architecture
from mnas.lower.torch import build, weights_of


def train(
    architecture: Architecture,
    data: str | Path | Dataset,
    *,
    folder: str | Path | None = None,
    epochs: int = 20,
    images: int | None = None,
    batch: int = 64,
    lr: float = 0.1,
    weight_decay: float = 5e-4,
    label_smoothing: float = 0.0,
    ema_decay: float = 0.0,
    augment: Augment = "none",
    seed: int = 0,
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
        folder: where the files of a named data set are, if not in their usual places.
        epochs: passes over the images.
        images: train on the first so many only.
        batch: images a step.
        lr: highest learning rate; it grows with the batch.
        weight_decay: of kernels.
        label_smoothing: see `Recipe`.
        ema_decay: see `Recipe`.
        augment: see `Recipe`; mirrored or shifted images must still be what their label says.
        seed: of initial weights, order and augmentation.
        num_threads: of torch; another number gives slightly other weights.
        torch_device: where to train.
        progress: told steps.

    Raises:
        ConfigError: a setting out of range, or as many outputs as there are classes are missing.
        DataError: data that is missing, malformed or too small, or does not fit the network's input.
        EvaluationError: the loss is no longer a number.
    """
    recipe = Recipe(
        epochs=epochs,
        batch=batch,
        lr=lr,
        weight_decay=weight_decay,
        label_smoothing=label_smoothing,
        ema_decay=ema_decay,
        augment=augment,
    )
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
