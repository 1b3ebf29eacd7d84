"""Raw samples as text: one gzipped CSV, the same bytes for the same samples."""

from __future__ import annotations

import gzip
import io
import zlib

import pandas as pd

from mnas.errors import FormatError

AGAIN = "again:"
"""What names of items begin with whose samples are of the independent second pass."""
_TYPES = {
    "unit": "int64",
    "item": "str",
    "visit": "int64",
    "round": "int64",
    "rep": "int64",
    "wall_ns": "int64",
    "cpu_ns": "int64",
    "preempted": "int64",
}


def first_pass(samples: pd.DataFrame) -> pd.DataFrame:
    """Samples but for those of the second pass."""
    return samples[~samples["item"].str.startswith(AGAIN)]


def write_samples(samples: pd.DataFrame) -> bytes:
    """Spell raw samples (columns unit, item, visit, round, rep, wall_ns, cpu_ns, preempted as 0 or 1)."""
    text = samples.assign(preempted=samples["preempted"].astype("int64"))[list(_TYPES)].to_csv(index=False)
    return gzip.compress(text.encode(), compresslevel=6, mtime=0)


def read_samples(data: bytes) -> pd.DataFrame:
    """Read what `write_samples` gave.

    Raises:
        FormatError: not gzip, truncated, or other columns.
    """
    try:
        text = gzip.decompress(data).decode()
        frame = pd.read_csv(io.StringIO(text), dtype=_TYPES)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise FormatError(f"raw samples cannot be read: {error}") from error
    if list(frame.columns) != list(_TYPES):
        raise FormatError(f"raw samples need the columns {', '.join(_TYPES)}; got {', '.join(frame.columns)}")
    return frame.assign(preempted=frame["preempted"].astype(bool))
