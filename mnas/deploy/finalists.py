"""The answer of a run is measured, not predicted: its best networks are measured whole, before one is trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from mnas.errors import CheckError
from mnas.ir import Architecture
from mnas.latency import BenchResult, LatencyTable, bench
from mnas.lower import initial_weights, lower, parse_dtype
from mnas.runtimes import runtimes
from mnas.searchers import Run

AT_ONCE = 3
"""Networks measured together, interleaved with the anchors."""


def confirmed(run: Run, table: LatencyTable) -> tuple[Architecture, BenchResult]:
    """Find the network of the highest reward that is also measured within the target, by the table's anchors.

    Weights do not change latency, so networks are measured with initial ones.

    Args:
        run: a search; its feasible networks are tried in order of reward.
        table: prices and anchors; it names the device and the runtime.

    Raises:
        CheckError: the run has no feasible network, or none was measured within the target.
        DeviceError: the table's device or runtime is missing.
    """
    best_first = sorted(run.feasible, key=lambda trial: -trial.reward)
    networks = list(dict.fromkeys(trial.architecture for trial in best_first)) or [run.best().architecture]
    target_ms, seen = run.config.target_ms, []
    for start in range(0, len(networks), AT_ONCE):
        some = networks[start : start + AT_ONCE]
        for network, result in zip(some, _measured(some, table), strict=True):
            if result.anchored_ms is not None and result.anchored_ms <= target_ms:
                return network, result
            seen.append(result.anchored_ms or result.median_ms)
    raise CheckError(
        f"none of {len(seen)} networks predicted within {target_ms:g} ms was measured within it; the fastest took "
        f"{min(seen):.4g} ms: profile again, or search with a lower target"
    )


def _measured(networks: Sequence[Architecture], table: LatencyTable) -> list[BenchResult]:
    kind, dtype = runtimes[table.conditions.runtime].format, parse_dtype(table.conditions.dtype)
    with TemporaryDirectory(prefix="mnas-finalists-") as folder:
        files = []
        for i, network in enumerate(networks):
            file = Path(folder) / f"{i}.{kind}"
            text = {"architecture": str(network)}
            file.write_bytes(lower(network, initial_weights(network), kind, text, dtype=dtype))
            files.append(file)
        return bench(files, device=table.conditions.device, against=table)
