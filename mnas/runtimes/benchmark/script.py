"""What runs on the device: one shell script for all visits of a unit, so that one command and one transfer each way do.

It needs a POSIX shell with `tar`, which Android has had since version 6. For each visit it starts `benchmark_model`
anew; what it prints, its return code and its profile are gathered in one archive. A model that failed is not visited
again. The tool says itself, by its help, in which form it gives profiles.
"""

from __future__ import annotations

import io
import shlex
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

from mnas.errors import FormatError

Mode = Literal["proto", "csv", "text"]
SCRIPT, TOOL, RESULTS, PROGRESS = "run.sh", "benchmark_model", "results.tar", "progress"
"""Names of files in the work folder."""
CANNOT_RUN, CANNOT_BIND = 93, 94
"""Exit codes of the script when the tool cannot be started at all, or not on the cores asked for; why is in its error
output."""
_LARGEST = 2**22
"""Bytes of one result that are read; a profile of the largest network has 100 KB."""
_TEMPLATE = """\
set -u
cd "$1" || exit 90
mkdir results && chmod 755 {tool} || exit 91
{bind}true || exit {cannot_bind}
help=$({bind}./{tool} --help 2>&1)
case $? in 126 | 127) echo "$help" >&2; exit {cannot_run} ;; esac
case $help in
*op_profiling_output_mode*) mode=proto ;;
*profiling_output_csv_file*) mode=csv ;;
*) mode=text ;;
esac
visit() {{
  at=results/$1 model=$2 profiled=$3
  [ -e "failed-$model" ] && return
  echo "$model" >{progress} || exit 92
  case $profiled-$mode in
  profiled-proto) set -- --op_profiling_output_mode=proto --op_profiling_output_file="$at.profile" ;;
  profiled-csv) set -- --profiling_output_csv_file="$at.profile" ;;
  *) set -- ;;
  esac
  [ "$profiled" = plain ] || set -- --enable_op_profiling=true "$@"
  {bind}./{tool} --graph="$model" {flags} "$@" >"$at.out" 2>&1
  code=$?
  echo "$code" >"$at.code" || exit 92
  [ "$code" -eq 0 ] || : >"failed-$model" || exit 92
}}
{visits}
echo "$mode" >results/mode && tar -cf {results} results || exit 92
"""


class Visit(NamedTuple):
    """One process of the tool: the file of its model in the work folder, and whether every op is timed."""

    file: str
    profiled: bool


class Result(NamedTuple):
    """What one process of the tool gave: its return code, all it printed, and the file of its profile if there is."""

    code: int
    text: str
    profile: bytes | None


def write_script(visits: Iterable[Visit], flags: Sequence[str], taskset: str) -> str:
    """Spell the script; its argument is the work folder.

    Args:
        visits: in order of time.
        flags: for every process of the tool.
        taskset: mask of the cores to run on, empty for any.
    """
    lines = (f"visit {i} {shlex.quote(v.file)} {'profiled' if v.profiled else 'plain'}" for i, v in enumerate(visits))
    return _TEMPLATE.format(
        tool=TOOL,
        results=RESULTS,
        progress=PROGRESS,
        cannot_run=CANNOT_RUN,
        cannot_bind=CANNOT_BIND,
        bind=f"taskset {shlex.quote(taskset)} " if taskset else "",
        flags=shlex.join(flags),
        visits="\n".join(lines),
    )


def read_results(archive: bytes, count: int) -> tuple[Mode, dict[int, Result]]:
    """Read what the script gathered: the form of profiles, and results by number of the visit.

    Nothing is written: members are looked up by the names that they must have.

    Args:
        archive: the tar file.
        count: visits that were asked for.

    Raises:
        FormatError: it is cut short or damaged.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            files = {m.name: m for m in tar.getmembers() if m.isreg() and m.size <= _LARGEST}
            held = {name: _content(tar, member) for name, member in files.items()}
            mode = held["results/mode"].decode().strip()
            if mode not in (modes := dict(zip(get_args(Mode), get_args(Mode), strict=True))):
                raise FormatError(f"results of the script of an unknown mode {mode!r}")
            return modes[mode], {i: _result(held, f"results/{i}") for i in range(count) if f"results/{i}.code" in held}
    except (tarfile.TarError, KeyError, ValueError, EOFError, OSError) as error:
        raise FormatError(f"results of the script are cut short or damaged ({len(archive)} bytes): {error}") from error


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    data = file.read() if file else b""
    if len(data) != member.size:
        raise EOFError(member.name)
    return data


def _result(held: Mapping[str, bytes], at: str) -> Result:
    return Result(int(held[f"{at}.code"]), held[f"{at}.out"].decode(errors="replace"), held.get(f"{at}.profile"))
