"""How good tables from ten networks are: `python -m benchmarks.tailoring`.

The shipped tables stand for devices. Of a target table nothing is known but simulated measurements of ten networks:
what it says of them, with 1.5 % noise. The tables of the sources are tailored to them as `mnas tables transfer` does,
and judged by what the target says of 350 other networks. `scaled` is the first source with `a + b*sum + c*rows` fitted
to ten random networks. Medians of ten draws. Writes benchmarks/results/tailoring.csv.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mnas.ir import Architecture
from mnas.latency import LatencyTable, calibrate, choose, choose_next, load_table
from mnas.latency.networks import draw_networks
from mnas.latency.tailoring import Pattern, pattern
from mnas.latency.validation import check
from mnas.spaces import space

Floats = NDArray[np.float64]
RESULTS = Path(__file__).parent / "results"
BUDGET, CANDIDATES, TESTS, NOISE = 10, 500, 350, 0.015
CASES = {
    "onnxruntime-float32": ("litert-float32",),
    "litert-float32": ("onnxruntime-float32",),
    "litert-int8": ("litert-float32", "onnxruntime-float32"),
    "onnxruntime-int8": ("litert-float32", "onnxruntime-float32", "litert-int8"),
}
"""Target: sources."""


def drawn(targets: Floats, shape: Pattern, seed: int) -> Iterator[tuple[str, Floats]]:
    """Measure ten networks, and say what either method makes of all."""
    rng = np.random.default_rng(seed)
    measured = targets * np.exp(rng.normal(0, NOISE, len(targets)))
    candidates = np.arange(CANDIDATES)
    known, features = shape.latencies[:, candidates], shape.features[candidates]
    size = np.log(known).mean(axis=0)
    half = BUDGET // 2
    first = list(dict.fromkeys([int(size.argmin()), int(size.argmax()), *choose(known, features, half, seed).tolist()]))
    start = np.array(first[:half])
    rest = choose_next(known, features, start, measured[start], BUDGET - half, seed)
    idx = np.concatenate([start, rest])
    tailored = shape.tailor(idx, measured[idx])
    rows = shape.counts.sum(axis=1)
    yield "tailored", tailored.calibration.ms(shape.counts @ tailored.ms, rows)
    some = rng.choice(CANDIDATES, BUDGET, replace=False)
    fit = calibrate(shape.latencies[0, some], rows[some], measured[some])
    yield "scaled", fit.ms(shape.latencies[0], rows)


def judge(name: str, target: str, sources: Sequence[str], draws: int) -> Iterator[dict[str, object]]:
    """One line for each method."""

    def table(kind: str) -> LatencyTable:
        return load_table(f"{name}-amd-epyc-{kind}")

    searched, truth = space(name), table(target)
    networks = draw_networks(searched, CANDIDATES, 0, TESTS, 0)
    every: list[Architecture] = [*networks.calibration, *networks.test]
    shape = pattern([table(source) for source in sources], tuple(dict.fromkeys(searched.placements())), every)
    targets = np.array([truth.predict(network).ms for network in every])
    found = [
        {"method": method, **check(said[CANDIDATES:], targets[CANDIDATES:])._asdict()}
        for seed in range(draws)
        for method, said in drawn(targets, shape, seed)
    ]
    medians = pd.DataFrame(found).groupby("method", sort=False)[["mape_percent", "spearman"]].median()
    for method, row in medians.iterrows():
        yield {"space": name, "target": target, "sources": " ".join(sources), "method": method, **row, "draws": draws}


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--out", type=Path, default=RESULTS / "tailoring.csv")
    given = parser.parse_args()
    rows: list[dict[str, object]] = []
    for name, (target, sources) in product(("mnasnet-small", "mnasnet"), CASES.items()):
        rows += judge(name, target, sources, given.draws)
        print(pd.DataFrame(rows[-2:]).round(3).to_string(index=False, header=len(rows) == 2), flush=True)
    pd.DataFrame(rows).round(4).to_csv(given.out, index=False)


if __name__ == "__main__":
    main()
