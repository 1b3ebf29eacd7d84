"""Few-shot transfer on recorded latencies: `python -m benchmarks.transfer --table FILE --target COLUMN --sources A,B`.

The table is a CSV with the column `arch`, digits that name an op each, and latency columns in ms. Features are the
digits one-hot and how often each op occurs. Every draw measures as many networks of the target as the budget says;
all methods see the same random draws, but for those whose networks are chosen. Networks that were measured are judged
too, but not for coverage. `--sources ''` compares methods without any known device. `--out` adds the medians to a CSV;
a second run of the same table, target and sources replaces its rows.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV

from mnas.errors import ConfigError, DataError, MnasError
from mnas.files import write_text
from mnas.latency import choose, choose_next, transfer

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

KEYS = ["table", "target", "sources"]


def features(archs: pd.Series) -> Floats:
    """Digits one-hot and how often each op occurs, (n, (digits + 1) * ops)."""
    digits = np.array([list(arch) for arch in archs]).astype(np.int64)
    onehot = digits[:, :, None] == np.arange(digits.max() + 1)
    return np.hstack([onehot.reshape(len(digits), -1), onehot.sum(axis=1)]).astype(np.float64)


def two_step(sources: Floats, onehot: Floats, target: Floats, budget: int, seed: int) -> Ints:
    """Half of the budget fills the space, the rest is chosen by what that half measured."""
    first = choose(sources, onehot, max(2, budget // 2), seed)
    count = budget - len(first)
    if not count:
        return first
    return np.concatenate([first, choose_next(sources, onehot, first, target[first], count, seed)])


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
        mape = float(np.abs(ms / target - 1).mean()) * 100
        found = {"spearman": spearman(ms, target), "mape_percent": mape, "covered_percent": covered}
        rows.append({"method": method, "budget": budget, "draw": draw, **found})

    def ours(method: str, draw: int, known: Floats, idx: Ints) -> None:
        found = transfer(known, onehot, idx, target[idx])
        inside = np.delete((found.low_ms <= target) & (target <= found.high_ms), idx)
        row(method, draw, found.ms, 100 * float(inside.mean()) if len(inside) else np.nan)

    for draw in range(draws):
        idx = np.random.default_rng(draw).choice(len(target), budget, replace=False)
        if len(sources):
            ours("transfer", draw, sources, idx)
            ours("transfer, space-filling networks", draw, sources, choose(sources, onehot, budget, draw))
            ours("transfer, two-step networks", draw, sources, two_step(sources, onehot, target, budget, draw))
            row("ridge in log space", draw, ridge(sources, idx, target[idx]))
        ours("no source", draw, none, idx)
        ours("no source, space-filling networks", draw, none, choose(none, onehot, budget, draw))
        ours("no source, two-step networks", draw, none, two_step(none, onehot, target, budget, draw))
    for i, source in enumerate(sources):
        row(f"source {i} as it is", 0, source)
    return pd.DataFrame(rows)


def summary(judged: pd.DataFrame) -> pd.DataFrame:
    """Medians over draws and the 10th and 90th percentile of Spearman; coverage is the mean, which is what it means."""
    group = judged.groupby(["method", "budget"], sort=False)
    spearmans = group["spearman"]
    return pd.DataFrame(
        {
            "draws": group["draw"].nunique(),
            "spearman_median": spearmans.median(),
            "spearman_p10": spearmans.quantile(0.1),
            "spearman_p90": spearmans.quantile(0.9),
            "mape_percent_median": group["mape_percent"].median(),
            "covered_percent": group["covered_percent"].mean(),
        }
    ).reset_index()


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


def add(out: Path, found: pd.DataFrame) -> None:
    """Write results into a CSV in place of those of the same table, target and sources."""
    before = pd.read_csv(out, keep_default_na=False, dtype=str) if out.exists() else None
    text = found.to_csv(index=False, float_format="%.4g")
    if before is not None:
        same = (before[KEYS] == found[KEYS].iloc[0].astype(str)).all(axis=1)
        header, _, body = text.partition("\n")
        kept = before[~same].to_csv(index=False, header=False)
        text = f"{header}\n{kept}{body}"
    write_text(out, text)


def main() -> None:
    """Print medians over draws; add them to a file where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--target", required=True, help="column")
    parser.add_argument("--sources", required=True, help="columns, separated by commas; '' for none")
    parser.add_argument("--budget", default="10", help="numbers of measured networks, separated by commas")
    parser.add_argument("--draws", type=int, default=30)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    names = [name for name in args.sources.split(",") if name]
    try:
        budgets = [int(budget) for budget in args.budget.split(",")]
        frame = read(args.table, [args.target, *names])
        if not all(2 <= budget <= len(frame) for budget in budgets):
            raise ConfigError(f"budgets {args.budget}: from 2 to {len(frame)} networks")
        sources = frame[names].to_numpy(np.float64).T.reshape(len(names), len(frame))
        target, onehot = frame[args.target].to_numpy(np.float64), features(frame["arch"])
        judged = pd.concat([judge(target, sources, onehot, budget, args.draws) for budget in budgets])
    except (MnasError, OSError, ValueError) as error:
        parser.error(str(error))
    print(f"{args.target} from {args.sources or 'features only'}: {len(frame)} networks, {args.draws} draws")
    for name in [args.target, *names]:
        tied = frame[name].duplicated(keep=False).mean()
        whole = "whole ms, " if (frame[name] % 1 == 0).all() else ""
        print(f"{name}: {whole}{frame[name].nunique()} different values, {tied:.1%} of networks share theirs")
    found = summary(judged)
    print(found.round(3).to_string(index=False))
    if args.out:
        place = {"table": args.table.name, "target": args.target, "sources": " ".join(names)}
        add(args.out, found.assign(**place)[[*KEYS, *found.columns]])


if __name__ == "__main__":
    main()
