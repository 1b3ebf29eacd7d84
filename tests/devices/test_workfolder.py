from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mnas.devices import Device, connect, work_folder
from mnas.errors import DeviceError


def test_a_folder_of_its_own_goes_away_even_after_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    local = Device("local")

    def fail() -> None:
        with work_folder(connect(local), local) as first, work_folder(connect(local), local) as second:
            assert first != second
            assert {Path(first).parent, Path(second).parent} == {tmp_path}
            (Path(first) / "file").touch()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not list(tmp_path.iterdir())


def test_the_device_says_where(tmp_path: Path) -> None:
    local = Device("local", folder=str(tmp_path))
    with work_folder(connect(local), local) as path:
        assert Path(path).parent == tmp_path
        assert Path(path).stat().st_mode & 0o777 == 0o700
    absent = Device("local", folder=str(tmp_path / "absent"))
    with (
        pytest.raises(DeviceError, match=r"'local' cannot make a temporary folder: .*absent.*name a folder"),
        work_folder(connect(absent), absent),
    ):
        pass


def test_what_killed_processes_left_goes_when_it_is_a_day_old(tmp_path: Path) -> None:
    left, recent, other = (tmp_path / name for name in ("mnas.AbCd1234", "mnas.EfGh5678", "else.AbCd1234"))
    for path in (left, recent, other):
        path.mkdir()
        (path / "model").touch()
    for path in (left, other):
        long_ago = time.time() - 25 * 3600
        os.utime(path, (long_ago, long_ago))
    local = Device("local", folder=str(tmp_path))
    with work_folder(connect(local), local):
        assert sorted(path for path in tmp_path.iterdir() if path in (left, recent, other)) == [other, recent]
