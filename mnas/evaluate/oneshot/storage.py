"""The file of shared weights: how far their training is, and of what it is."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mnas.errors import ConfigError, FormatError
from mnas.evaluate.data import SearchData
from mnas.evaluate.oneshot.settings import SupernetSettings
from mnas.files import write_bytes
from mnas.spaces import SearchSpace

_FORMAT = "mnas.supernet/1"


@dataclass(frozen=True, eq=False, slots=True)
class StoredWeights:
    """Shared weights between two steps of their training.

    Attributes:
        identity: of the training (see `identify`).
        step: steps done.
        steps: of the whole training.
        weights: by key.
        momentum: of every weight; none once the training is over.
    """

    identity: Mapping[str, Any]
    step: int
    steps: int
    weights: Mapping[str, Tensor]
    momentum: Mapping[str, Tensor]

    @property
    def finished(self) -> bool:
        """Whether the training is over."""
        return self.step == self.steps

    @property
    def held_out(self) -> int:
        """Number of validation images, which the training did not see; 0 in files of before it was noted."""
        return int(self.identity.get("held_out", 0))

    def check(self, identity: Mapping[str, Any], path: Path, keys: tuple[str, ...] | None = None) -> None:
        """Raise ConfigError unless the training was of `identity`, as far as `keys` go (all, if none are given)."""
        unlike = [key for key in keys or tuple(identity) if self.identity.get(key) != identity[key]]
        if unlike:
            named = ", ".join(f"{key} ({self.identity.get(key)!r} there, {identity[key]!r} here)" for key in unlike)
            raise ConfigError(f"{path} holds shared weights of another training: {named}; use another file or folder")

    def save(self, path: Path) -> None:
        """Write the file that `load_weights` reads."""
        buffer = io.BytesIO()
        state = {
            "format": _FORMAT,
            "identity": json.dumps(dict(self.identity)),
            "step": self.step,
            "steps": self.steps,
            "weights": {key: value.detach().cpu() for key, value in self.weights.items()},
            "momentum": {key: value.cpu() for key, value in self.momentum.items()},
        }
        torch.save(state, buffer)
        write_bytes(path, buffer.getvalue())


def identify(space: SearchSpace, data: SearchData, settings: SupernetSettings, seed: int) -> dict[str, Any]:
    """What decides shared weights, as JSON holds it."""
    return {
        "space": space.name,
        "x": str(space.x),
        "classes": space.classes,
        "data": data.name,
        "held_out": len(data.validation),
        "seed": seed,
        **asdict(settings),
    }


def load_weights(path: Path) -> StoredWeights:
    """Read a file of `StoredWeights.save`; nothing is unpickled but tensors and plain values.

    Raises:
        ConfigError: no such file.
        FormatError: it is damaged, or of another kind or version.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read the shared weights {path}: {error.strerror}") from None
    try:
        state = torch.load(io.BytesIO(content), weights_only=True)
        if state["format"] != _FORMAT:
            raise FormatError(f"{path} is of another version: remove it to train again")
        return StoredWeights(
            json.loads(state["identity"]), state["step"], state["steps"], state["weights"], state["momentum"]
        )
    except FormatError:
        raise
    except Exception as error:  # torch raises whatever a damaged file makes it raise
        reason = str(error).partition("\n")[0]
        raise FormatError(
            f"{path} holds no shared weights, or is damaged ({type(error).__name__}: {reason}): remove it to train "
            "again"
        ) from None
