from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from mnas.errors import FormatError
from mnas.runtimes.benchmark import script
from mnas.runtimes.benchmark.script import Result, Visit, read_results, write_script

TOOL = '#!/bin/sh\n[ "$1" = --help ] && echo "{help}" && exit 1\necho "$@"\n[ "$1" = --graph=bad ] && exit 7\nexit 0\n'


def run(folder: Path, visits: list[Visit], tool: str, *flags: str, taskset: str = "") -> int:
    """Run a script as a device does."""
    (folder / script.TOOL).write_text(tool)
    (folder / script.SCRIPT).write_text(write_script(visits, flags, taskset))
    done = subprocess.run(
        ["sh", str(folder / script.SCRIPT), str(folder)],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
    )
    return done.returncode


@pytest.mark.parametrize(
    ("words", "mode", "flags"),
    [
        ("--op_profiling_output_mode", "proto", ["--op_profiling_output_mode=proto", "--op_profiling_output_file={}"]),
        ("--profiling_output_csv_file", "csv", ["--profiling_output_csv_file={}"]),
        ("--graph", "text", []),
    ],
)  # fmt: skip
def test_the_tool_says_how_it_tells_of_ops(tmp_path: Path, words: str, mode: str, flags: list[str]) -> None:
    assert run(tmp_path, [Visit("a", False), Visit("b", True)], TOOL.format(help=words), "--num_runs=2") == 0
    found, results = read_results((tmp_path / script.RESULTS).read_bytes(), 2)
    assert found == mode
    assert results[0] == Result(0, "--graph=a --num_runs=2\n", None)
    expected = [flag.format("results/1.profile") for flag in flags]
    assert results[1].text.split() == ["--graph=b", "--num_runs=2", "--enable_op_profiling=true", *expected]


def test_a_model_that_failed_is_not_visited_again(tmp_path: Path) -> None:
    visits = [Visit("bad", False), Visit("a", False), Visit("bad", False), Visit("a", False)]
    assert run(tmp_path, visits, TOOL.format(help="")) == 0
    _, results = read_results((tmp_path / script.RESULTS).read_bytes(), 4)
    assert {number: result.code for number, result in results.items()} == {0: 7, 1: 0, 3: 0}


@pytest.mark.parametrize("name", ["a b", "$(touch x)", "`touch x`", "; touch x", "it's", '"', "-x", "*", "é"])
def test_nasty_names_are_arguments(tmp_path: Path, name: str) -> None:
    assert run(tmp_path, [Visit(name, False)], TOOL.format(help=""), name, taskset="") == 0
    _, results = read_results((tmp_path / script.RESULTS).read_bytes(), 1)
    assert results[0].text == f"--graph={name} {name}\n"
    assert not (tmp_path / "x").exists()


def test_a_tool_that_cannot_be_started_ends_the_script(tmp_path: Path) -> None:
    assert run(tmp_path, [Visit("a", False)], "#!/nowhere/at/all\n") == script.CANNOT_RUN


def test_cores_are_bound(tmp_path: Path) -> None:
    assert run(tmp_path, [Visit("a", False)], "#!/bin/sh\ngrep Cpus_allowed: /proc/self/status\n", taskset="1") == 0
    _, results = read_results((tmp_path / script.RESULTS).read_bytes(), 1)
    assert results[0].text.split()[1].lstrip("0,") == "1"


def archive(**members: bytes) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


def test_damaged_results_are_refused() -> None:
    whole = archive(**{"results/mode": b"proto\n", "results/0.code": b"0\n", "results/0.out": b"hello" * 300})
    assert read_results(whole, 1) == ("proto", {0: Result(0, "hello" * 300, None)})
    for bad in (b"", b"no archive at all", whole[:600], whole[:2048], archive(**{"results/mode": b"odd\n"})):
        with pytest.raises(FormatError, match="results of the script"):
            read_results(bad, 1)
    with pytest.raises(FormatError):
        read_results(archive(**{"results/mode": b"csv", "results/0.code": b"zero", "results/0.out": b""}), 1)


def test_members_that_were_not_asked_for_are_passed_over() -> None:
    evil = archive(**{"../../evil": b"x", "results/mode": b"csv", "results/9.code": b"0", "results/9.out": b""})
    assert read_results(evil, 1) == ("csv", {})
