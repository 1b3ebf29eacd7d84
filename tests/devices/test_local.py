from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mnas.devices import Device, connect, transports
from mnas.errors import DeviceError, UnknownNameError
from tests.devices.processes import ends

LOCAL = Device("local")


def test_registry_knows_local_and_names_the_known() -> None:
    assert "local" in list(transports)
    with pytest.raises(UnknownNameError, match=r"unknown transport 'pigeon'; known: .*local"):
        connect(Device("loft", "pigeon"))


def test_run_returns_code_output_and_errors() -> None:
    program = "import sys; print('é'); print('no', file=sys.stderr); sys.exit(len(sys.stdin.read()) + 7)"
    assert connect(LOCAL).run([sys.executable, "-X", "utf8", "-c", program], 30) == (7, "é\n", "no\n")
    assert connect(LOCAL).run(["echo", "$HOME; *"], 30) == (0, "$HOME; *\n", "")


def test_run_tells_signals() -> None:
    assert connect(LOCAL).run(["sh", "-c", "kill -TERM $$"], 30)[0] == -signal.SIGTERM


def test_missing_program_is_a_device_error() -> None:
    with pytest.raises(DeviceError, match="'local' cannot run 'no-such-program': No such file"):
        connect(LOCAL).run(["no-such-program"], 30)


def test_timeout_kills_the_whole_group(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    with pytest.raises(DeviceError, match=r"'sh' took more than 2 s"):
        connect(LOCAL).run(["sh", "-c", f"sleep 60 & echo $! > {pid}; wait"], 2)
    assert ends(int(pid.read_text()))


def test_interrupt_kills_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[subprocess.Popen[str]] = []

    def interrupted(self: subprocess.Popen[str], *args: Any, **kwargs: Any) -> tuple[str, str]:
        seen.append(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        connect(LOCAL).run(["sleep", "60"], 60)
    assert seen[0].returncode == -signal.SIGKILL


def test_push_all_copies_by_name(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "there").mkdir()
    connect(LOCAL).push_all({"x": tmp_path / "a", "y": tmp_path / "a"}, str(tmp_path / "there"))
    assert sorted(file.name for file in (tmp_path / "there").iterdir()) == ["x", "y"]


def test_push_and_pull_copy(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\x00\xff")
    connect(LOCAL).push(tmp_path / "a", str(tmp_path / "b"))
    connect(LOCAL).pull(str(tmp_path / "b"), tmp_path / "c")
    assert (tmp_path / "c").read_bytes() == b"\x00\xff"
    with pytest.raises(DeviceError, match=r"cannot copy .*gone"):
        connect(LOCAL).pull(str(tmp_path / "gone"), tmp_path / "d")
