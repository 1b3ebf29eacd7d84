"""What a user may name on a command line: a run folder, an architecture file, a published network, a checkpoint."""

from __future__ import annotations

from pathlib import Path

from mnas.errors import ConfigError
from mnas.evaluate import Progress, TrainedNetwork, load_network, train
from mnas.ir import Architecture
from mnas.searchers import Run
from mnas.spaces.reference import reference, references

CHECKPOINT = "trained.npz"
"""Name of the trained network in a run folder."""


def architecture_of(target: str) -> Architecture:
    """The architecture that `target` names.

    Args:
        target: a run folder (its best feasible network), a checkpoint (.npz), a file with an architecture's text, or
            the name of a published network.

    Raises:
        ConfigError: none of these.
        ParseError: a file that holds no architecture.
    """
    path = Path(target)
    if path.is_dir():
        return Run.open(path).best().architecture
    if path.suffix == ".npz" and path.exists():
        return load_network(path).architecture
    if path.is_file():
        return Architecture.parse(path.read_text())
    if target in references():
        return reference(target)
    raise ConfigError(
        f"{target!r} is no run folder, checkpoint, architecture file or published network; "
        f"published: {', '.join(references())}"
    )


def network_of(target: str, seed: int = 0) -> TrainedNetwork:
    """The network with weights that `target` names; initial weights where it was never trained.

    Args:
        target: as for `architecture_of`; a run folder must hold a trained network.
        seed: of initial weights.

    Raises:
        ConfigError: a run folder without a trained network.
    """
    path = Path(target)
    if path.is_dir():
        if not (path / CHECKPOINT).exists():
            raise ConfigError(f"run {target} holds no trained network; make one with: mnas train {target}")
        return load_network(path / CHECKPOINT)
    if path.suffix == ".npz" and path.exists():
        return load_network(path)
    return TrainedNetwork.untrained(architecture_of(target), seed)


def train_target(
    target: str,
    *,
    data: str | None = None,
    data_folder: str | None = None,
    epochs: int = 20,
    images: int | None = None,
    batch: int = 64,
    lr: float = 0.1,
    seed: int = 0,
    torch_device: str = "cpu",
    out: Path | None = None,
    progress: Progress | None = None,
) -> tuple[TrainedNetwork, Path]:
    """Train what `target` names (see `architecture_of`) and save it.

    Args:
        target: a run folder brings its data set, and keeps the checkpoint.
        data: data set; needed unless `target` is a run folder.
        data_folder: where the data set lies.
        epochs: passes over the training images.
        images: train on the first so many only.
        batch: images a step.
        lr: highest learning rate.
        seed: of weights and order.
        torch_device: where to train.
        out: checkpoint to write; beside the run, or `trained.npz`, if not given.
        progress: told steps.

    Returns:
        The network, and where it was saved.

    Raises:
        ConfigError: no data set known.
    """
    architecture = architecture_of(target)
    path = Path(target)
    if path.is_dir():
        config = Run.open(path).config
        data, data_folder = data or config.data, data_folder or config.data_folder
    if data is None:
        raise ConfigError(f"which data? mnas train {target} --data fashion-mnist (or digits, a .npz file, a folder)")
    network = train(
        architecture,
        data,
        folder=data_folder,
        epochs=epochs,
        images=images,
        batch=batch,
        lr=lr,
        seed=seed,
        torch_device=torch_device,
        progress=progress,
    )
    saved = out or (path / CHECKPOINT if path.is_dir() else Path(CHECKPOINT))
    network.save(saved)
    return network, saved
