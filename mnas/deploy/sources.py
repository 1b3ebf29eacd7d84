"""What a user may name on a command line: a run folder, an architecture file, a published network, a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mnas.errors import ConfigError, ParseError
from mnas.ir import Architecture
from mnas.lower import read_metadata
from mnas.progress import Progress
from mnas.searchers import Run
from mnas.spaces.reference import reference, references

if TYPE_CHECKING:  # importing these loads torch, which naming an architecture does not need
    from mnas.evaluate import Recipe, TrainedNetwork

CHECKPOINT = "trained.npz"
"""Name of the trained network in a run folder."""


def architecture_of(target: str) -> Architecture:
    """The architecture that `target` names.

    Args:
        target: a run folder (its best feasible network), a checkpoint (.npz), an ONNX or TFLite file that mnas wrote, a
            file with an architecture's text, or the name of a published network.

    Raises:
        ConfigError: none of these, or a model file that does not say its architecture.
        ParseError: a file that holds no architecture.
    """
    path = Path(target)
    if path.is_dir():
        return Run.open(path).best().architecture
    if path.is_file():
        return _read(path)
    if target in references():
        return reference(target)
    raise ConfigError(
        f"{target!r} is no run folder, checkpoint, model, architecture file or published network; "
        f"published: {', '.join(references())}"
    )


def _read(path: Path) -> Architecture:
    match path.suffix:
        case ".npz":
            from mnas.evaluate import load_network

            return load_network(path).architecture
        case ".onnx" | ".tflite":
            said = read_metadata(path.read_bytes(), "onnx" if path.suffix == ".onnx" else "tflite")
            if "architecture" not in said:
                raise ConfigError(f"{path} does not say its architecture: mnas did not write it")
            return Architecture.parse(said["architecture"])
        case _:
            try:
                return Architecture.parse(path.read_text(encoding="utf-8"))
            except UnicodeDecodeError:
                raise ParseError(f"{path} is no text, so it holds no architecture") from None


def network_of(target: str, seed: int = 0) -> TrainedNetwork:
    """The network with weights that `target` names; initial weights where it was never trained.

    Args:
        target: as for `architecture_of`; a run folder must hold a trained network.
        seed: of initial weights.

    Raises:
        ConfigError: a run folder without a trained network, or with one that is no longer the best of the run.
    """
    from mnas.evaluate import TrainedNetwork, load_network

    path = Path(target)
    if path.is_dir():
        if not (path / CHECKPOINT).exists():
            raise ConfigError(f"run {target} holds no trained network; make one with: mnas train {target}")
        network = load_network(path / CHECKPOINT)
        if network.architecture != architecture_of(target):
            raise ConfigError(f"the best network of {target} is another now; train it with: mnas train {target}")
        return network
    if path.suffix == ".npz" and path.exists():
        return load_network(path)
    return TrainedNetwork.untrained(architecture_of(target), seed)


def train_target(
    target: str,
    *,
    data: str | None = None,
    data_folder: str | None = None,
    recipe: Recipe | None = None,
    images: int | None = None,
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
        recipe: how to train; see `mnas.train`.
        images: train on the first so many only.
        seed: of weights and order.
        torch_device: where to train.
        out: checkpoint to write; in the run folder, or `trained.npz`, if not given.
        progress: told steps.

    Returns:
        The network, and where it was saved.

    Raises:
        ConfigError: no data set known.
    """
    from mnas.evaluate import train

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
        recipe=recipe,
        images=images,
        seed=seed,
        torch_device=torch_device,
        progress=progress,
    )
    saved = out or (path / CHECKPOINT if path.is_dir() else Path(CHECKPOINT))
    network.save(saved)
    return network, saved
