"""Writing a network as ONNX and TFLite files, each verified before it exists under its name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from mnas.deploy.inference import Images, torch_logits
from mnas.deploy.metadata import metadata
from mnas.deploy.verification import MAX_ACCURACY_DROP, Verification, verify
from mnas.errors import ConfigError
from mnas.evaluate import TrainedNetwork, adapt, dataset, normalised
from mnas.files import write_bytes
from mnas.latency import LatencyTable
from mnas.lower import Dtype, Format, lower

PARITY_IMAGES = 1000
"""How many test images a float32 file is compared with torch on, unless asked otherwise."""
_SUFFIXES: dict[Dtype, str] = {"float32": "", "int8": "-int8"}


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
    samples: int | None = None,
    int8: bool = False,
    calibration: int = 256,
    max_accuracy_drop: float = MAX_ACCURACY_DROP,
) -> list[ExportedFile]:
    """Write `network` to `out/name.onnx` and `out/name.tflite` (float32, batch norm folded, metadata embedded).

    With `int8` also to `out/name-int8.onnx` and `out/name-int8.tflite`, whose inputs and outputs are 8 bits too (see
    `mnas.lower.quantize`). Every file is run on real test images first and compared with torch; if one differs, or an
    int8 file loses too much accuracy, none is written.

    Args:
        network: from `mnas.train` or `mnas.evaluate.load_network`.
        formats: which files.
        out: folder.
        name: file name without suffix.
        table: adds the predicted latency to the metadata.
        data_folder: where the network's data set lies, if not where `mnas.evaluate.dataset` looks.
        dynamic_batch: let the ONNX file take any batch size; TFLite files are static.
        samples: how many test images to verify on; 1000 for float32 and all for int8 if not given.
        int8: write int8 files too. Those of a network that was never trained are good for timing only.
        calibration: how many training images int8 learns its ranges from.
        max_accuracy_drop: how much accuracy, 0..1, an int8 file may lose against torch on the same images.

    Raises:
        ConfigError: no or unknown formats, or numbers out of range.
        CheckError: a file does not compute what was trained, or loses too much accuracy in int8 (exit code 4).
    """
    if calibration < 1 or not 0 <= max_accuracy_drop <= 1:
        raise ConfigError(f"calibration is at least 1, max_accuracy_drop 0..1; got {calibration}, {max_accuracy_drop}")
    known = get_args(Format)
    if not formats or not set(formats) <= set(known):
        raise ConfigError(f"export formats are {', '.join(known)}; got {', '.join(formats) or 'none'}")
    dtypes: tuple[Dtype, ...] = ("float32", "int8") if int8 else ("float32",)
    parity = samples or PARITY_IMAGES
    seen = _images(network, data_folder, calibration, samples if int8 else parity)
    reference = torch_logits(network, seen.test)
    models: dict[Path, tuple[bytes, ExportedFile]] = {}
    for dtype, format in product(dtypes, dict.fromkeys(formats)):  # noqa: A001
        properties = metadata(network, format, table, dtype)
        model = lower(
            network.architecture, network.weights, format, properties,
            dynamic_batch=dynamic_batch, dtype=dtype, samples=[seen.calibration],
        )  # fmt: skip
        n = parity if dtype == "float32" else len(reference)
        labels = None if seen.labels is None else seen.labels[:n]
        found = verify(model, format, seen.test[:n], reference[:n], labels, dtype, max_accuracy_drop)
        path = Path(out) / f"{name}{_SUFFIXES[dtype]}.{format}"
        digest = hashlib.sha256(model).hexdigest()
        models[path] = model, ExportedFile(path, format, dtype, len(model), digest, found)
    for path, (model, _) in models.items():
        write_bytes(path, model)
    return [file for _, file in models.values()]


class _Images(NamedTuple):
    """What int8 is calibrated on, and what files are verified on: normalised, (n, C, H, W)."""

    calibration: Images
    test: Images
    labels: NDArray[np.int64] | None


def _images(network: TrainedNetwork, folder: Path | str | None, calibration: int, tests: int | None) -> _Images:
    """The first images of the network's data set, or seeded noise where it was never trained (no labels)."""
    x, mean, std = network.architecture.x, network.mean, network.std
    if not network.dataset:
        noise = np.random.default_rng(network.seed).standard_normal((2, min(tests or 64, 64), *x), np.float32)
        return _Images(noise[0], noise[1], None)
    data = adapt(dataset(network.dataset, folder=folder), x)
    calibrating, testing = data.train.images[:calibration], data.test.images[:tests]
    return _Images(normalised(calibrating, mean, std), normalised(testing, mean, std), data.test.labels[:tests])
