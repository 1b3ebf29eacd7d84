"""Hot paths, each timed beside a yardstick in the same rounds: `python -m benchmarks.hot_paths`.

The yardstick is a fixed pure-Python loop, so the ratio carries over to other machines better than milliseconds do.
Every round times every path once, in a new random order; medians and the 10th and 90th percentile are over rounds.
Times are CPU time, that of started processes included.
Writes benchmarks/results/hot_paths.csv.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from mnas.ir import Architecture
from mnas.latency import load_table
from mnas.lower import initial_weights, lower
from mnas.searchers import Objective, Searcher, make_reward, make_searcher
from mnas.spaces import sample, space
from mnas.spaces.reference import reference

RESULTS = Path(__file__).parent / "results"


def yardstick() -> None:
    """20,000 additions of squares in a Python loop."""
    total = 0
    for i in range(20_000):
        total += i * i


def paths(table: str) -> dict[str, Callable[[], object]]:
    """Name -> one unit of work."""
    a1 = reference("mnasnet-a1")
    weights = initial_weights(a1, 0)
    small, prices = space("mnasnet-small"), load_table(table)
    encodings = iter([tuple(e) for e in sample(small, np.random.default_rng(0), 5000).tolist()] * 10)
    target_ms = float(np.median([prices.predict(small.decode(next(encodings))).ms for _ in range(100)]))
    objective = Objective(small, prices, make_reward("asymmetric", target_ms), target_ms)
    factored = make_searcher("reinforce", small, 0, {"policy": "factored"})
    lstm, ppo = make_searcher("reinforce", small, 0), make_searcher("ppo", small, 0)
    surrogate = make_searcher("surrogate", small, 0, objective=objective)

    def predict() -> None:
        for _ in range(100):
            prices.predict(small.decode(next(encodings)))

    def ask_and_tell(searcher: Searcher, n: int) -> None:
        asked = searcher.ask(n)
        searcher.tell(asked, [small.decode(encoding).cost.macs / 1e8 for encoding in asked])

    def one_by_one() -> None:
        for _ in range(100):
            ask_and_tell(factored, 1)

    for _ in range(13):
        ask_and_tell(surrogate, 8)

    def python(code: str) -> Callable[[], object]:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)

    return {
        "yardstick: 20,000 additions of squares in a Python loop": yardstick,
        "lower MnasNet-A1 to TFLite": lambda: lower(a1, weights, "tflite"),
        "lower MnasNet-A1 to ONNX": lambda: lower(a1, weights, "onnx"),
        "decode, place and predict 100 encodings": predict,
        "parse the text of MnasNet-A1": lambda: Architecture.parse(str(a1)),
        "reinforce, factored: ask one and tell one, 100 times": one_by_one,
        "reinforce, LSTM: ask 8 and tell 8": lambda: ask_and_tell(lstm, 8),
        "ppo, LSTM: ask 8 and tell 8": lambda: ask_and_tell(ppo, 8),
        "surrogate, from 104 trials on: ask 8 and tell 8": lambda: ask_and_tell(surrogate, 8),
        "start Python": python("pass"),
        "start Python, import mnas": python("import mnas"),
        "start Python, mnas --help": python("from mnas.cli.app import run; run(['--help'])"),
    }


def cpu_s() -> float:
    """CPU seconds of this process and of those it started and waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def measure(work: dict[str, Callable[[], object]], rounds: int) -> pd.DataFrame:
    """CPU milliseconds, (rounds, paths)."""
    rng = np.random.default_rng(0)
    names = list(work)
    times = np.zeros((rounds + 1, len(names)))
    for r in range(rounds + 1):
        for i in rng.permutation(len(names)):
            start = cpu_s()
            work[names[i]]()
            times[r, i] = 1e3 * (cpu_s() - start)
    return pd.DataFrame(times[1:], columns=names)  # the first round warms up


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", required=True, help="a table of mnasnet-small (mnas profile)")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--out", type=Path, default=RESULTS / "hot_paths.csv")
    given = parser.parse_args()
    times = measure(paths(given.table), given.rounds)
    ratios = times.div(times.iloc[:, 0], axis=0)
    result = pd.DataFrame(
        {
            "path": times.columns,
            "median_cpu_ms": times.median().round(4).values,
            "p10_cpu_ms": times.quantile(0.1).round(4).values,
            "p90_cpu_ms": times.quantile(0.9).round(4).values,
            "ratio_to_yardstick": ratios.median().round(3).values,
            "ratio_p10": ratios.quantile(0.1).round(3).values,
            "ratio_p90": ratios.quantile(0.9).round(3).values,
            "rounds": len(times),
        }
    )
    print(result.to_string(index=False))
    result.to_csv(given.out, index=False)


if __name__ == "__main__":
    main()
