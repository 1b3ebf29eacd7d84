"""The main job, end to end on this host: profile, search, train, export, bench, and one table of what came of it.

The latency target is what the table predicts for a published network, MobileNetV2 x0.35 adapted to the input: the
search has to find a more accurate network that is no slower.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mnas.deploy import ExportedFile, confirmed, export
from mnas.errors import MnasError
from mnas.evaluate import Recipe, TrainedNetwork, dataset, load_network
from mnas.files import write_text
from mnas.ir import Architecture, Shape
from mnas.latency import BenchResult, LatencyTable, bench, profile, report
from mnas.runtimes import runtimes
from mnas.searchers import Run, search
from mnas.spaces import space
from mnas.spaces.reference import reference

REFERENCES = (("mobilenet-v2", 0.35), ("mobilenet-v2", 0.5), ("mnasnet-a1", 0.35))
"""Published networks and width multipliers; the first one's predicted latency is the target."""
FOUND = "found"
Stage = Callable[[str, int, int, str], None]
"""Called with the stage, how much of it is done, of how much, and a word on it."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much work the demonstration does.

    Attributes:
        trials: networks that are trained in the search.
        images: training images of a trial.
        trial_epochs: passes over them.
        epochs: passes over the training images in the final training.
        train_images: how many of them at most.
        batch: images a step of it.
        lr: its highest learning rate.
        loads: processes per chunk of the profile.
        passes: rounds per process; None lets the profile choose.
    """

    trials: int
    images: int
    trial_epochs: int
    epochs: int
    train_images: int
    batch: int
    lr: float
    loads: int
    passes: int | None


FULL = Size(
    trials=32, images=2000, trial_epochs=2, epochs=1, train_images=36_000, batch=64, lr=0.1, loads=2, passes=None
)
QUICK = Size(trials=4, images=400, trial_epochs=1, epochs=3, train_images=1200, batch=16, lr=0.03, loads=2, passes=2)


@dataclass
class _Demo:
    """The settings of one demonstration, and how long its stages took."""

    out: Path
    data: str
    size: Size
    runtime: str
    seed: int
    torch_device: str
    stage: Stage
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, name: str) -> Iterator[Callable[[int, int, str], None]]:
        start = time.monotonic()
        yield lambda done, total, note: self.stage(name, done, total, note)
        self.seconds[name] = round(time.monotonic() - start, 1)


def demo(
    out: Path | str,
    *,
    data: str = "fashion-mnist",
    quick: bool = False,
    runtime: str = "litert",
    seed: int = 0,
    torch_device: str = "cpu",
    stage: Stage | None = None,
) -> dict[str, Any]:
    """Do the whole job into the folder `out`; the same call goes on after an interruption.

    Args:
        out: holds the table, the run, checkpoints and exports afterwards.
        data: name or path of a data set.
        quick: a few trials only.
        runtime: name of the runtime.
        seed: of everything random.
        torch_device: where to train: cpu, cuda or mps.
        stage: told what is going on.

    Returns:
        The document `mnas.demo/1`, which is also written to `out/demo.json`.

    Raises:
        DataError: the data set is missing; the message names the ways to get it.
        CheckError: no network within the target was found, or a file differs from what was trained.
    """
    job = _Demo(Path(out), data, QUICK if quick else FULL, runtime, seed, torch_device, stage or _silent)
    x, classes = _input(dataset(data).shape), len(dataset(data).classes)
    each = space("mnasnet-small", classes=classes, image_size=x.h, channels=x.c)
    published = {f"{name} x{width:g}": reference(name, x=x, classes=classes, width=width) for name, width in REFERENCES}
    with job.timed("profile") as progress:
        table = profile(
            each, runtime=runtime, out=job.out / "table", architectures=list(published.values()),
            loads=job.size.loads, passes=job.size.passes, seed=seed, progress=progress,
        )  # fmt: skip
    target_ms = round(table.predict(next(iter(published.values()))).ms, 3)
    with job.timed("search") as progress:
        run = search(
            each, data=data, table=table, target_ms=target_ms, run=job.out, trials=job.size.trials, seed=seed,
            torch_device=torch_device, progress=progress,
            evaluator_options={"images": job.size.images, "epochs": job.size.trial_epochs},
        )  # fmt: skip
    with job.timed("finalists"):
        winner = _winner(job, run, table)
    architectures = {FOUND: winner, **published}
    with job.timed("train") as progress:
        networks = _train(job, architectures, progress)
    with job.timed("export"):
        files = {name: _export(job, name, network, table) for name, network in networks.items()}
    with job.timed("bench"):
        measured = _bench(job, files, table)
    document = _document(job, target_ms, table, architectures, networks, files, measured)
    write_text(job.out / "demo.json", json.dumps(document, indent=1, allow_nan=False) + "\n")
    return document


def _silent(stage: str, done: int, total: int, note: str) -> None:
    """Show nothing."""


def _input(shape: Shape) -> Shape:
    """The input of the networks: the data's own, made square, and at least 16 px so that it can be strided."""
    side = max(16, shape.h, shape.w)
    return Shape(shape.c, side, side)


def _winner(job: _Demo, run: Run, table: LatencyTable) -> Architecture:
    """The best network that is measured within the target; what was chosen once is kept."""
    chosen = job.out / "winner.txt"
    if not chosen.exists():
        write_text(chosen, f"{confirmed(run, table)[0]}\n")
    return Architecture.parse(chosen.read_text())


def _train(
    job: _Demo, architectures: dict[str, Architecture], progress: Callable[[int, int, str], None]
) -> dict[str, TrainedNetwork]:
    """Train every network by `mnas train`, two processes at a time; what is trained already is kept."""
    recipe = Recipe(epochs=job.size.epochs, batch=job.size.batch, lr=job.size.lr)

    def train(name: str) -> TrainedNetwork:
        path = job.out / "trained" / f"{_slug(name)}.npz"
        if path.exists():
            kept = load_network(path)
            if (kept.architecture, kept.recipe, kept.seed) == (architectures[name], recipe, job.seed):
                return kept
        text = path.with_suffix(".txt")
        write_text(text, f"{architectures[name]}\n")
        settings = {
            "--data": job.data, "--epochs": recipe.epochs, "--batch": recipe.batch, "--lr": recipe.lr,
            "--images": job.size.train_images, "--seed": job.seed, "--torch-device": job.torch_device, "-o": path,
        }  # fmt: skip
        flags = [str(part) for pair in settings.items() for part in pair]
        command = [sys.executable, "-m", "mnas", "train", str(text), "--quiet", *flags]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise MnasError(f"training {name} failed: {done.stderr.strip()}")
        return load_network(path)

    longest_first = sorted(architectures, key=lambda name: -architectures[name].cost.macs)
    networks = {}
    with ThreadPoolExecutor(2) as pool:
        progress(0, len(architectures), "")
        for name, network in zip(longest_first, pool.map(train, longest_first), strict=True):
            networks[name] = network
            progress(len(networks), len(architectures), name)
    return {name: networks[name] for name in architectures}


def _export(job: _Demo, name: str, network: TrainedNetwork, table: LatencyTable) -> list[ExportedFile]:
    """All formats of the found network; of a reference the one that is measured."""
    formats: Sequence[Any] = ("onnx", "tflite") if name == FOUND else (runtimes[job.runtime].format,)
    return export(network, formats=formats, out=job.out / "exports", name=_slug(name), table=table)


def _bench(job: _Demo, files: dict[str, list[ExportedFile]], table: LatencyTable) -> dict[str, BenchResult]:
    kind = runtimes[job.runtime].format
    chosen = [next(file.path for file in each if file.format == kind) for each in files.values()]
    return dict(zip(files, bench(chosen, against=table, seed=job.seed + 1), strict=True))


def _slug(name: str) -> str:
    return name.replace(" ", "-")


def _document(
    job: _Demo,
    target_ms: float,
    table: LatencyTable,
    architectures: dict[str, Architecture],
    networks: dict[str, TrainedNetwork],
    files: dict[str, list[ExportedFile]],
    measured: dict[str, BenchResult],
) -> dict[str, Any]:
    rows: dict[str, dict[str, Any]] = {}
    for name, architecture in architectures.items():
        estimate, result = table.predict(architecture), measured[name]
        rows[name] = {
            "name": name,
            "architecture": str(architecture),
            "test_accuracy": networks[name].test_accuracy,
            "predicted_ms": estimate.ms,
            "measured_ms": result.median_ms if result.anchored_ms is None else result.anchored_ms,
            "raw_ms": result.median_ms,
            "within_target": result.anchored_ms is not None and result.anchored_ms <= target_ms,
            "parameters": architecture.cost.params,
            "macs": architecture.cost.macs,
            "files": [str(file.path) for file in files[name]],
        }
    found = rows.pop(FOUND)
    return {
        "dataset": networks[FOUND].dataset,
        "device": table.conditions.device,
        "runtime": f"{table.conditions.runtime} {table.conditions.runtime_version}",
        "target_ms": target_ms,
        "reference": max(rows.values(), key=lambda row: row["test_accuracy"]),
        "references": list(rows.values()),
        "found": found,
        "files": [file.to_dict() for each in files.values() for file in each],
        "remeasurement_mape_percent": report(table)["remeasurement_mape_percent"],
        "seconds": {**job.seconds, "total": round(sum(job.seconds.values()), 1)},
    }
