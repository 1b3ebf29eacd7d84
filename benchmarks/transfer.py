"""Few-shot transfer on recorded latencies: `python -m benchmarks.transfer --table FILE --target COLUMN --sources A,B`.

The table is a CSV with the column `arch`, digits that name an op each, and latency columns in ms. Features are the
digits one-hot and how often each op occurs. Every draw measures `--budget` networks of the target; all methods see
the same random draws, but for the one whose networks are chosen. All networks, measured ones too, are judged.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV

from mnas.errors import DataError, MnasError
from mnas.files import write_text
from mnas.latency import choose, transfer

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def features(archs: pd.Series) -> Floats:
    """Digits one-hot and how often each op occurs, (n, (digits + 1) * ops)."""
    digits = np.array([list(arch) for arch in archs]).astype(np.int64)
    onehot = digits[:, :, None] == np.arange(digits.max() + 1)
    return np.hstack([onehot.reshape(len(digits), -1), onehot.sum(axis=1)]).astype(np.float64)


def ridge(sources: Floats, measured_idx: Ints, measured_ms: Floats) -> Floats:
    """Predict by plain ridge in log space, its strength by leave-one-out, (n,) in ms."""
    logs = np.log(sources).T
    logs = (logs - logs.mean(axis=0)) / logs.std(axis=0)
    fit = RidgeCV(np.logspace(-3, 3, 13)).fit(logs[measured_idx], np.log(measured_ms))
    return np.asarray(np.exp(fit.predict(logs)), np.float64)


def spearman(a: Floats, b: Floats) -> float:
    """Rank correlation; ties share their mean rank."""
    return float(pd.Series(a).corr(pd.Series(b), method="spearman"))


def judge(target: Floats, sources: Floats, onehot: Floats, budget: int, draws: int) -> pd.DataFrame:
    """One row per method and draw."""
    none = np.empty((0, len(target)))
    rows: list[dict[str, object]] = []

    def row(method: str, draw: int, ms: Floats, covered: float = np.nan) -> None:
        error = np.abs(ms / target - 1) * 100
        rows.append(
            {
                "method": method,
                "draw": draw,
                "spearman": spearman(ms, target),
                "mape_percent": error.mean(),
                "median_ape_percent": np.median(error),
                "covered_percent": covered,
            }
        )

    def ours(method: str, draw: int, known: Floats, idx: Ints) -> None:
        found = transfer(known, onehot, idx, target[idx])
        inside = (found.low_ms <= target) & (target <= found.high_ms)
        inside[idx] = False
        row(method, draw, found.ms, 100 * float(inside.sum()) / (len(target) - len(idx)))

    for draw in range(draws):
        idx = np.random.default_rng(draw).choice(len(target), budget, replace=False)
        ours("transfer", draw, sources, idx)
        ours("transfer, chosen networks", draw, sources, choose(sources, onehot, budget, draw))
        row("ridge in log space", draw, ridge(sources, idx, target[idx]))
        ours("transfer, no source", draw, none, idx)
    for i, source in enumerate(sources):
        row(f"source {i} itself", 0, source)
    return pd.DataFrame(rows)


def summary(judged: pd.DataFrame) -> pd.DataFrame:
    """Medians over draws, with the 10th and 90th percentile of Spearman."""
    group = judged.groupby("method", sort=False)
    low, high = (group["spearman"].quantile(q) for q in (0.1, 0.9))
    return group.median(numeric_only=True).drop(columns="draw").assign(spearman_p10=low, spearman_p90=high)


def read(table: Path, names: list[str]) -> pd.DataFrame:
    """Rows of the table whose latencies are all known.

    Raises:
        DataError: a column is missing, or `arch` is not rows of digits.
    """
    frame = pd.read_csv(table, dtype={"arch": str})
    missing = [name for name in ["arch", *names] if name not in frame]
    if missing:
        raise DataError(f"{table} has no column {missing[0]!r}; known: {', '.join(frame.columns)}")
    frame = frame.dropna(subset=["arch", *names])
    if not frame["arch"].str.fullmatch("[0-9]+").all() or frame["arch"].str.len().nunique() != 1:
        raise DataError(f"{table}: every arch is a row of digits, all of one length")
    return frame


def main() -> None:
    """Print medians over draws; write every draw where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--sources", required=True, help="columns, separated by commas")
    parser.add_argument("--budget", type=int, default=10)
    parser.add_argument("--draws", type=int, default=30)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    names = args.sources.split(",")
    try:
        frame = read(args.table, [args.target, *names])
        sources = frame[names].to_numpy(np.float64).T
        target = frame[args.target].to_numpy(np.float64)
        judged = judge(target, sources, features(frame["arch"]), args.budget, args.draws)
    except (MnasError, OSError) as error:
        parser.error(str(error))
    print(f"{args.target} from {args.sources}: {len(frame)} networks, {args.budget} measured, {args.draws} draws")
    for name in [args.target, *names]:
        tied = frame[name].duplicated(keep=False).mean()
        print(f"{name}: {frame[name].nunique()} different values, {tied:.1%} of networks share theirs with another")
    print(summary(judged).round(3).to_string())
    if args.out:
        write_text(args.out, judged.to_csv(index=False, float_format="%.6g"))


if __name__ == "__main__":
    main()
