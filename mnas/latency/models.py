"""Networks as model files, with random weights: what is measured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from mnas.errors import MnasError
from mnas.ir import Network
from mnas.lower import initial_weights, lower, parse_dtype
from mnas.runtimes import Runtime


class Models(NamedTuple):
    """Files by the names of their networks, and why some could not be written."""

    files: dict[str, Path]
    failed: dict[str, str]


def write_models(
    networks: Mapping[str, Network], folder: Path, runtime: Runtime, seed: int, dtype: str = "float32"
) -> Models:
    """Lower networks into the temporary `folder`, in the format of `runtime`; int8 ranges are those of noise.

    Raises:
        ConfigError: an unknown `dtype`.
        OSError: the disk is full.
    """
    numbers = parse_dtype(dtype)
    models = Models({}, {})
    for i, (name, network) in enumerate(networks.items()):
        try:
            weights, text = initial_weights(network, seed), {"architecture": str(network)}
            data = lower(network, weights, runtime.format, text, dtype=numbers)
        except MnasError as error:
            models.failed[name] = str(error)
            continue
        models.files[name] = folder / f"{i}{runtime.suffix}"
        models.files[name].write_bytes(data)
    return models
