"""What a profile costs and how good its table is: `python -m benchmarks.profiling --out FILE.csv`.

Profiles the spaces on this host with both runtimes. Peak memory is that of the process plus that of the largest of its
children, an upper bound of both together. Twenty networks held out of the calibration are predicted; the error of
measuring the same networks again stands beside. Writes benchmarks/results/profiling.csv.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

RESULTS = Path(__file__).parent / "results"


def profiled(space: str, runtime: str, folder: Path) -> dict[str, object]:
    """One `mnas profile`, as a user runs it."""
    command = [sys.executable, "-c", _CHILD, "profile", "--space", space, "--runtime", runtime]
    start = time.perf_counter()
    done = subprocess.run(
        [*command, "-o", str(folder / f"{space}-{runtime}"), "--json"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    document, peak = json.loads(done.stdout), int(done.stderr.split("peak_kib=")[1])
    check = document["check"]
    return {
        "space": space,
        "runtime": runtime,
        "rows": document["rows"],
        "seconds": round(time.perf_counter() - start, 1),
        "peak_mib": peak // 1024,
        "networks": check["n"],
        "mape_percent": round(check["mape_percent"], 2),
        "within_5_percent": round(check["within_5_percent"], 1),
        "within_10_percent": round(check["within_10_percent"], 1),
        "spearman": round(check["spearman"], 4),
        "remeasurement_mape_percent": round(document["remeasurement_mape_percent"], 2),
        "drift_percent": round(document["drift_percent"], 1),
        "verdict": document["verdict"],
    }


_CHILD = """
import resource, sys
from mnas.cli.app import run
code = run(sys.argv[1:])
peak = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(f"peak_kib={peak}", file=sys.stderr)
sys.exit(code)
"""


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spaces", default="mnasnet-small:3,mnasnet:1", help="space:repeats, comma-separated")
    parser.add_argument("--runtimes", default="litert,onnxruntime")
    parser.add_argument("--out", type=Path, default=RESULTS / "profiling.csv")
    given = parser.parse_args()
    rows = []
    for space, repeats in (part.split(":") for part in given.spaces.split(",")):
        for repeat in range(int(repeats)):
            for runtime in given.runtimes.split(","):
                with tempfile.TemporaryDirectory() as folder:
                    rows.append({**profiled(space, runtime, Path(folder)), "repeat": repeat})
                print(rows[-1], flush=True)
                pd.DataFrame(rows).to_csv(given.out, index=False)


if __name__ == "__main__":
    main()
