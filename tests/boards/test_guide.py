"""docs/boards.md as it is written, on the test board, with a smaller space."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from mnas.cli.app import run
from mnas.latency import load_table
from tests.boards.sshd import Sshd
from tests.latency.fakes import TINY

pytestmark = [pytest.mark.board, pytest.mark.slow]
TEXT = (Path(__file__).parents[2] / "docs" / "boards.md").read_text(encoding="utf-8")


def test_the_documented_lines(board: Sshd, tiny_space: None, capsys: pytest.CaptureFixture[str]) -> None:
    Path("examples").mkdir()
    (Path("examples") / "network.txt").write_text(str(TINY.decode((0,) * len(TINY.choices))))
    blocks = re.findall(r"```\n(.*?)```", TEXT, re.DOTALL)
    lines = [
        line for block in blocks for line in block.splitlines() if line.startswith("mnas ") or line == "ssh pi true"
    ]
    assert len(lines) == 7
    for line in lines:
        words = shlex.split(line.replace("mnasnet-small", "tiny --max-minutes 0"))
        code = run(words[1:]) if words[0] == "mnas" else subprocess.run(words, check=False).returncode
        printed = capsys.readouterr()
        anchors_disagree = code == 4 and "anchors" in printed.err  # times under emulation vary
        assert code == 0 or anchors_disagree, printed.err
        if "add" in words:
            file = Path("devices") / "pi.toml"
            file.write_text(f"{file.read_text()}emulated = true\n")
        if words[:2] == ["mnas", "devices"]:
            assert "ready" in printed.out
    assert load_table("pi_table").conditions.device == "pi"
