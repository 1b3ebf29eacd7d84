"""How wrong latency predictors are on networks they have not seen: `python -m benchmarks.lut_error [--spaces ...]`.

For every space and runtime one measurement gives rows, 74 networks to fit, 19 for intervals and 60 to judge by, half of
them drawn to span the space, half uniformly. All predictors are judged by the same 60 networks, and baselines are
fitted to equally many measured networks. `raw hot` is what Once-for-all and ProxylessNAS do: a second measurement
without cache eviction, rows and networks alike. `in-network` takes its rows from node times of whole networks, in a
measurement of its own (runtimes that tell node times only). Measuring the judged networks again by other processes
gives the remeasurement error, after the common level; nothing can be seen to be better. Above 5 % the benchmark ends:
of a noisy measurement no accuracy is claimed. `interval_coverage_percent` is the share of judged networks inside the
90 % interval. Writes benchmarks/results/lut_error.csv.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV

from mnas.devices import Device
from mnas.ir import Architecture, Placement
from mnas.latency import Calibration, LatencyTable, MeasuredNetwork, profile
from mnas.latency.assembly import second_pass
from mnas.latency.fitting import fit
from mnas.latency.kernels import kernels
from mnas.latency.networks import draw_networks
from mnas.latency.pricing import executed
from mnas.latency.validation import NOISY_PERCENT
from mnas.lower import Format
from mnas.runtimes import Conditions, Measurement, NodeProfiler, Plan, Runtime, runtimes
from mnas.spaces import Choice, SearchSpace, space

Floats = NDArray[np.float64]
RESULTS = Path(__file__).parent / "results"
FEW, MANY, HELD, TESTS = 20, 74, 19, 60
ALPHAS = np.logspace(-8, 2, 21)


@dataclass(frozen=True)
class Hot:
    """A runtime that leaves the caches as the run before left them."""

    of: Runtime

    @property
    def name(self) -> str:
        return self.of.name

    @property
    def format(self) -> Format:
        return self.of.format

    @property
    def suffix(self) -> str:
        return self.of.suffix

    def conditions(self, device: Device, plan: Plan, dtype: str = "float32") -> Conditions:
        return self.of.conditions(device, replace(plan, evict_kib=0), dtype)

    def measure(self, device: Device, models: Mapping[str, Path], plan: Plan) -> Measurement:
        return self.of.measure(device, models, replace(plan, evict_kib=0))


class Recorded:
    """A space that remembers which encoding gave which network."""

    def __init__(self, searched: SearchSpace) -> None:
        self.of = searched
        self.name, self.x, self.classes = searched.name, searched.x, searched.classes
        self.encodings: dict[str, tuple[int, ...]] = {}

    @property
    def choices(self) -> tuple[Choice, ...]:
        return self.of.choices

    def decode(self, encoding: tuple[int, ...]) -> Architecture:
        network = self.of.decode(encoding)
        self.encodings.setdefault(str(network), encoding)
        return network

    def placements(self) -> tuple[Placement, ...]:
        return tuple(self.of.placements())


def op_types(network: Architecture) -> Counter[str]:
    """Features of the op-type linear model: MACs and moved elements of each type of kernel, and the number of ops."""
    found: Counter[str] = Counter(ops=len(network.placements))
    for kernel in (kernel for placement in network.placements for kernel in kernels(placement)):
        name = f"{kernel.name}/{kernel.stride}"
        found.update({f"{name} MACs": kernel.macs, f"{name} elements": kernel.moved})
    return found


def relative(design: Floats, ms: Floats, which: NDArray[np.bool_]) -> Floats:
    """Least squares on relative residuals, fitted to some networks; all predictions, (n,)."""
    weights = np.linalg.lstsq(design[which] / ms[which, None], np.ones(which.sum()), rcond=None)[0]
    return np.asarray(design @ weights)


def ridge(features: Floats, ms: Floats, which: NDArray[np.bool_]) -> Floats:
    """Ridge on relative residuals, its strength by leave-one-out; all predictions, (n,)."""
    scale = np.abs(features).max(axis=0)
    design = np.hstack([np.ones((len(features), 1)), features / np.where(scale > 0, scale, 1)])
    found = RidgeCV(ALPHAS, fit_intercept=False).fit(design[which] / ms[which, None], np.ones(which.sum()))
    return np.asarray(design @ found.coef_)


class Judged:
    """The networks of one measurement, and what predictors say of them."""

    def __init__(self, table: LatencyTable, encodings: Mapping[str, tuple[int, ...]], resolution: int) -> None:
        again = table.remeasurement.mape_without_level_percent
        if not again <= NOISY_PERCENT:
            raise SystemExit(f"{table.name}: measuring again differs by {again:.1f} %: no accuracy can be claimed")
        self.table, self.resolution = table, resolution
        self.networks = [n for n in table.networks if n.role != "interval"]
        architectures = [Architecture.parse(n.architecture) for n in self.networks]
        self.ms = np.array([n.ms for n in self.networks])
        self.test = np.array([n.role == "test" for n in self.networks])
        needed = [executed(a, table.calibration.folds_constants) for a in architectures]
        self.total = np.array([sum(table.rows[p].median_ms for p in each) for each in needed])
        self.rows = np.array([len(each) for each in needed], np.float64)
        self.macs = np.array([a.cost.macs for a in architectures], np.float64)
        self.ones = np.ones(len(self.ms))
        counts = pd.DataFrame([op_types(a) for a in architectures]).fillna(0)
        self.op_types = counts.to_numpy(np.float64)
        self.onehot = np.zeros((len(self.ms), 0))
        if encodings:
            chosen = np.array([encodings[n.architecture] for n in self.networks])
            self.onehot = (chosen[:, :, None] == np.arange(chosen.max() + 1)).reshape(len(chosen), -1).astype(float)

    def fitted(self, n: int) -> NDArray[np.bool_]:
        """The first n networks of the fit: anchors first, so that these span the space."""
        order = sorted(np.flatnonzero(~self.test), key=lambda i: self.networks[i].role != "anchor")
        which = np.zeros(len(self.ms), np.bool_)
        which[order[:n]] = True
        return which

    def row(self, predictor: str, n: int, predicted: Floats, interval: float = np.nan) -> dict[str, object]:
        """One line of the result."""
        truth, said = self.ms[self.test], predicted[self.test]
        error = said / truth - 1
        both = pd.DataFrame({"a": truth, "b": said})
        inside = np.abs(truth / said - 1) <= interval if np.isfinite(interval) else np.array([np.nan])
        return {
            "runtime": self.table.conditions.runtime,
            "resolution": self.resolution,
            "predictor": predictor,
            "n_calibration": n,
            "mape_percent": 100 * np.abs(error).mean(),
            "within_5_percent": 100 * (np.abs(error) <= 0.05).mean(),
            "within_10_percent": 100 * (np.abs(error) <= 0.10).mean(),
            "spearman": both.corr("spearman").iloc[0, 1],
            "kendall": both.corr("kendall").iloc[0, 1],
            "bias_percent": 100 * error.mean(),
            "remeasurement_mape_percent": self.table.remeasurement.mape_without_level_percent,
            "remeasurement_within_10_percent": 100 * self.again_within(0.10),
            "interval_coverage_percent": 100 * inside.mean(),
            "networks": int(self.test.sum()),
            "dtype": self.table.conditions.dtype,
        }

    def again_within(self, bound: float) -> float:
        """Share of the judged networks whose second measurement, at the level of the first, is within a bound."""
        again = second_pass(self.table.samples, self.table.time)
        first = pd.Series({n.item: n.ms for n in self.networks if n.role == "test"})
        ratio = (again / first).dropna()
        return float((np.abs(ratio / ratio.median() - 1) <= bound).mean())

    def table_rows(self, name: str, n: int) -> dict[str, object]:
        """The table's own predictor, as `profile` fits it, with n networks to fit."""
        which = self.fitted(n)
        kept: list[MeasuredNetwork] = [m for m, use in zip(self.networks, which | self.test, strict=True) if use]
        kept += [m for m in self.table.networks if m.role == "interval"]
        rows = {p: row.median_ms for p, row in self.table.rows.items()}
        found: Calibration = fit(rows, kept).calibration
        priced = replace(self.table, calibration=found)
        said = np.array([priced.predict(Architecture.parse(m.architecture)).ms for m in self.networks])
        return self.row(name, n, said, found.interval_relative)

    def every(self) -> Iterator[dict[str, object]]:
        """All predictors but those that need rows of their own."""
        yield self.row("raw cold", 0, self.total)
        baselines: dict[str, Callable[[NDArray[np.bool_]], Floats]] = {
            "affine": lambda which: relative(np.stack([self.ones, self.total], 1), self.ms, which),
            "per-row": lambda which: relative(np.stack([self.ones, self.total, self.rows], 1), self.ms, which),
            "MACs + affine": lambda which: relative(np.stack([self.ones, self.macs], 1), self.ms, which),
            "one-hot linear": lambda which: ridge(self.onehot, self.ms, which),
            "op-type linear": lambda which: ridge(self.op_types, self.ms, which),
        }
        for n in (FEW, MANY):
            for name, predict in baselines.items():
                yield self.row(name, n, predict(self.fitted(n)))
            yield self.table_rows("mnas" if n == FEW else "ridge", n)


def judge(searched: SearchSpace, runtime: str, folder: Path, dtype: str, seed: int) -> Iterator[dict[str, object]]:
    """Measure one space by one runtime, three times where node times are told, and judge all predictors."""
    recorded = Recorded(searched)
    draw_networks(recorded, MANY, HELD, TESTS, seed)
    size = searched.x.h

    def measured(name: str, networks: tuple[int, int, int], **how: str | float) -> LatencyTable:
        given = {"runtime": runtime, **how}
        print(f"measuring {searched.name} {runtime} {name}", flush=True)
        return profile(searched, out=folder / name, networks=networks, seed=seed, dtype=dtype, **given)  # type: ignore[arg-type]

    cold = Judged(measured("cold", (MANY, HELD, TESTS)), recorded.encodings, size)
    hot = Judged(measured("hot", (MANY, HELD, TESTS), runtime=f"{runtime}-hot"), {}, size)
    yield hot.row("raw hot", 0, hot.total)
    yield from cold.every()
    if isinstance(runtimes[runtime], NodeProfiler) and dtype == "float32":
        inside = Judged(measured("in-network", (MANY, HELD, TESTS), rows="in-network"), {}, size)
        yield inside.table_rows("in-network", FEW)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spaces", default="mnasnet-small,mnasnet")
    parser.add_argument("--runtimes", default="litert,onnxruntime")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "lut_error.csv")
    given = parser.parse_args()
    rows: list[dict[str, object]] = []
    for runtime in given.runtimes.split(","):
        runtimes.register(f"{runtime}-hot")(Hot(runtimes[runtime]))
    for name in given.spaces.split(","):
        for runtime in given.runtimes.split(","):
            with tempfile.TemporaryDirectory() as folder:
                rows += judge(space(name), runtime, Path(folder), given.dtype, given.seed)
            result = pd.DataFrame(rows).round(3)
            print(result[result["runtime"] == runtime].to_string(index=False), flush=True)
            result.to_csv(given.out, index=False)


if __name__ == "__main__":
    main()
