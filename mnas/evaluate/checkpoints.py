"""Networks with weights, and their file: one .npz of a JSON header, the weights, and a SHA-256 of both."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from mnas.errors import DataError, FormatError, MnasError
from mnas.evaluate.data.npz import load_arrays
from mnas.evaluate.training import Recipe
from mnas.files import write_bytes
from mnas.ir import Architecture
from mnas.lower.torch import build, load_weights, weights_of

_WEIGHTS = "weights/"


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """An architecture with weights, and what is needed to use and to judge it.

    Attributes:
        architecture: the network.
        weights: by the names of `mnas.lower`.
        dataset: name of the data set, or path of the user's own; empty if never trained.
        classes: names of the labels.
        mean: of each channel, 0..1 scale; the network reads (pixel / 255 - mean) / std.
        std: of each channel, 0..1 scale.
        validation_accuracy: 0..1; None if never trained.
        test_accuracy: 0..1; None if never trained.
        seed: of the initial weights and of the training.
        recipe: how it was trained; None if never trained.
        images: number of training images.
        history: mean training loss of each epoch.
    """

    architecture: Architecture
    weights: dict[str, NDArray[np.float32]]
    dataset: str
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    validation_accuracy: float | None
    test_accuracy: float | None
    seed: int
    recipe: Recipe | None
    images: int
    history: tuple[float, ...]

    @classmethod
    def untrained(cls, architecture: Architecture, seed: int = 0) -> TrainedNetwork:
        """The network with initial weights: good for measuring and for trying exports."""
        c = architecture.x.c
        return cls(
            architecture=architecture,
            weights=weights_of(build(architecture, seed)),
            dataset="",
            classes=tuple(str(label) for label in range(architecture.y.c)),
            mean=(0.5,) * c,
            std=(0.5,) * c,
            validation_accuracy=None,
            test_accuracy=None,
            seed=seed,
            recipe=None,
            images=0,
            history=(),
        )

    def save(self, path: str | Path) -> None:
        """Write the file that `load_network` reads; the same network gives the same bytes."""
        header = _Header(
            architecture=str(self.architecture),
            dataset=self.dataset,
            classes=self.classes,
            mean=self.mean,
            std=self.std,
            validation_accuracy=self.validation_accuracy,
            test_accuracy=self.test_accuracy,
            seed=self.seed,
            recipe=self.recipe,
            images=self.images,
            history=self.history,
        )
        arrays: dict[str, NDArray[Any]] = {_WEIGHTS + name: array for name, array in self.weights.items()}
        arrays["header"] = np.frombuffer(header.model_dump_json().encode(), np.uint8)
        arrays["sha256"] = np.frombuffer(_digest(arrays), np.uint8)
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        write_bytes(Path(path), buffer.getvalue())


class _Header(BaseModel):
    """What the file says of the weights; fields as in `TrainedNetwork`."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    format: Literal["mnas.network/1"] = "mnas.network/1"
    architecture: str
    dataset: str
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    validation_accuracy: float | None
    test_accuracy: float | None
    seed: int
    recipe: Recipe | None
    images: int
    history: tuple[float, ...]


def load_network(path: str | Path) -> TrainedNetwork:
    """Read a file of `TrainedNetwork.save`.

    Raises:
        FormatError: unreadable, another kind of file, edited, of another version, or weights of another network.
    """
    try:
        arrays = load_arrays(Path(path))
        header = _Header.model_validate_json(_checked(arrays))
        weights = {key.removeprefix(_WEIGHTS): a for key, a in arrays.items() if key.startswith(_WEIGHTS)}
        architecture = Architecture.parse(header.architecture)
        load_weights(build(architecture, 0), weights)
    except (DataError, FormatError) as error:
        raise FormatError(f"{path}: {error}") from None
    except (ValidationError, MnasError) as error:
        raise FormatError(f"{path} is a network of another version, or damaged: {error}") from None
    return TrainedNetwork(
        architecture=architecture,
        weights=weights,
        dataset=header.dataset,
        classes=header.classes,
        mean=header.mean,
        std=header.std,
        validation_accuracy=header.validation_accuracy,
        test_accuracy=header.test_accuracy,
        seed=header.seed,
        recipe=header.recipe,
        images=header.images,
        history=header.history,
    )


def _checked(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """The header, once the checksum holds."""
    if not {"header", "sha256"} <= arrays.keys():
        raise FormatError("is no network of mnas: it has no header; networks are written by mnas train")
    if arrays["sha256"].tobytes() != _digest(arrays):
        raise FormatError("was edited or damaged: its SHA-256 does not match")
    return arrays["header"].tobytes()


def _digest(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    digest = hashlib.sha256()
    for key in sorted(arrays.keys() - {"sha256"}):
        digest.update(f"{key} {arrays[key].dtype.str} {arrays[key].shape}\n".encode())
        digest.update(np.ascontiguousarray(arrays[key]).tobytes())
    return digest.digest()
