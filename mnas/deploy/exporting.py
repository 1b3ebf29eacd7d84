"""Writing a network as ONNX and TFLite files, each verified before it exists under its name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from mnas.deploy.inference import Images, torch_logits
from mnas.deploy.metadata import metadata
from mnas.deploy.verification import Verification, verify
from mnas.errors import ConfigError
from mnas.evaluate import TrainedNetwork, adapt, dataset, normalised
from mnas.files import write_bytes
from mnas.latency import LatencyTable
from mnas.lower import Format, lower


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """One written file and what its verification found; usable wherever a path is."""

    path: Path
    format: Format
    dtype: str
    size_bytes: int
    sha256: str
    verification: Verification

    def __fspath__(self) -> str:
        return str(self.path)

    def to_dict(self) -> dict[str, object]:
        """Flat form of `mnas.export/1`."""
        flat = {"path": str(self.path), "format": self.format, "dtype": self.dtype}
        return {**flat, **asdict(self.verification), "size_bytes": self.size_bytes, "sha256": self.sha256}


def export(
    network: TrainedNetwork,
    *,
    formats: Sequence[Format] = ("onnx", "tflite"),
    out: Path | str = "exports",
    name: str = "network",
    table: LatencyTable | None = None,
    data_folder: Path | str | None = None,
    dynamic_batch: bool = False,
    samples: int = 1000,
) -> list[ExportedFile]:
    """Write `network` to `out/name.onnx` and `out/name.tflite` (float32, batch norm folded, metadata embedded).

    Every file is run on `samples` real test images first and compared with torch; if one differs, none is written.

    Args:
        network: from `mnas.train` or `mnas.evaluate.load_network`.
        formats: which files.
        out: folder.
        name: file name without suffix.
        table: adds the predicted latency to the metadata.
        data_folder: where the network's data set lies, if not where `mnas.evaluate.dataset` looks.
        dynamic_batch: let the ONNX file take any batch size; TFLite files are static.
        samples: how many test images to verify on.

    Raises:
        ConfigError: no or unknown formats.
        CheckError: a file does not compute what was trained (exit code 4).
    """
    known = get_args(Format)
    if not formats or not set(formats) <= set(known):
        raise ConfigError(f"export formats are {', '.join(known)}; got {', '.join(formats) or 'none'}")
    images, labels = verification_images(network, data_folder, samples)
    reference = torch_logits(network, images)
    models: dict[Path, tuple[bytes, ExportedFile]] = {}
    for format in dict.fromkeys(formats):  # noqa: A001
        properties = metadata(network, format, table)
        model = lower(network.architecture, network.weights, format, properties, dynamic_batch=dynamic_batch)
        found = verify(model, format, images, reference, labels)
        path = Path(out) / f"{name}.{format}"
        digest = hashlib.sha256(model).hexdigest()
        models[path] = model, ExportedFile(path, format, "float32", len(model), digest, found)
    for path, (model, _) in models.items():
        write_bytes(path, model)
    return [file for _, file in models.values()]


def verification_images(
    network: TrainedNetwork, data_folder: Path | str | None, samples: int
) -> tuple[Images, NDArray[np.int64] | None]:
    """Test images of the network's data set, normalised; seeded noise where it was never trained (no labels)."""
    if not network.dataset:
        noise = np.random.default_rng(network.seed).standard_normal((min(samples, 64), *network.architecture.x))
        return noise.astype(np.float32), None
    data = dataset(network.dataset, folder=data_folder)
    test = adapt(data, network.architecture.x).test
    return normalised(test.images[:samples], network.mean, network.std), test.labels[:samples]
