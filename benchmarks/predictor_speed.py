"""How fast a table answers: `python -m benchmarks.predictor_speed --table TABLE [--space mnasnet]`.

CPU time of all threads, in rounds that interleave all paths with a yardstick (numpy gathers one million float64 by
random indices), so that ratios hold on a busy machine. `per_second` counts networks. Memory is what numpy and Python
allocate beside the input (tracemalloc). Writes benchmarks/results/predictor_speed.csv.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from mnas.latency import LatencyTable, load_table
from mnas.spaces import SearchSpace, sample, space

RESULTS = Path(__file__).parent / "results"
_BATCH = 1_000_000
_FEW = 2_000


class Timed(NamedTuple):
    """Something to time.

    Attributes:
        networks: how many it prices.
        work: what is timed.
    """

    networks: int
    work: Callable[[], object]


def paths(table: LatencyTable, searched: SearchSpace) -> dict[str, Timed]:
    """Name -> what is timed; the yardstick first."""
    rng = np.random.default_rng(0)
    encodings = sample(searched, rng, _BATCH)
    small = encodings.astype(np.uint8)
    few = [searched.decode(tuple(encoding)) for encoding in encodings[:_FEW].tolist()]
    texts = [tuple(encoding) for encoding in encodings[:_FEW].tolist()]
    values, at = rng.random(1 << 16), rng.integers(0, 1 << 16, _BATCH)
    for network in few:
        table.predict(network)  # placements are cached

    def decoded() -> None:
        for encoding in texts:
            table.predict(searched.decode(encoding))

    def compiled() -> None:
        table._compilations.clear()
        table.predict_batch(searched, encodings[:1])

    return {
        "yardstick: gather 1,000,000 float64": Timed(_BATCH, lambda: values.take(at)),
        "predict_batch, int64 encodings": Timed(_BATCH, lambda: table.predict_batch(searched, encodings)),
        "predict_batch, uint8 encodings": Timed(_BATCH, lambda: table.predict_batch(searched, small)),
        "compile the space": Timed(1, compiled),
        "predict, placements cached": Timed(_FEW, lambda: [table.predict(network) for network in few]),
        "decode and predict": Timed(_FEW, decoded),
    }


def measure(work: dict[str, Timed], rounds: int) -> pd.DataFrame:
    """CPU seconds, (rounds, paths); the first round warms up and is left out."""
    rng = np.random.default_rng(1)
    names = list(work)
    times = np.zeros((rounds + 1, len(names)))
    for r in range(rounds + 1):
        for i in rng.permutation(len(names)):
            start = time.process_time()
            work[names[i]].work()
            times[r, i] = time.process_time() - start
    return pd.DataFrame(times[1:], columns=names)


def peak_mib(work: Callable[[], object]) -> float:
    """MiB allocated at the most while it works."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", required=True, help="a table of the space")
    parser.add_argument("--space", default="mnasnet")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, default=RESULTS / "predictor_speed.csv")
    given = parser.parse_args()
    work = paths(load_table(given.table), space(given.space))
    times = measure(work, given.rounds)
    ratios = times.div(times.iloc[:, 0], axis=0)
    n = np.array([path.networks for path in work.values()])
    result = pd.DataFrame(
        {
            "path": times.columns,
            "median_cpu_ms": (1e3 * times.median()).round(3).values,
            "p10_cpu_ms": (1e3 * times.quantile(0.1)).round(3).values,
            "p90_cpu_ms": (1e3 * times.quantile(0.9)).round(3).values,
            "per_second": (n / times.median()).round(0).astype(int).values,
            "us_each": (1e6 * times.median() / n).round(4).values,
            "ratio_to_yardstick": ratios.median().round(3).values,
            "ratio_p10": ratios.quantile(0.1).round(3).values,
            "ratio_p90": ratios.quantile(0.9).round(3).values,
            "peak_mib": [round(peak_mib(path.work), 1) for path in work.values()],
            "rounds": len(times),
        }
    )
    print(result.to_string(index=False))
    result.to_csv(given.out, index=False)


if __name__ == "__main__":
    main()
