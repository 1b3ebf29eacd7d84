"""The phone itself: nothing leaves its folder, and paths come back as the phone's."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnas.devices.process import run
from tests.phones.phone import FakePhone
from tests.phones.services import Outward


@given(st.text("./a~", max_size=40))
def test_files_stay_inside(path: str) -> None:
    phone = FakePhone.__new__(FakePhone)
    phone.root = Path("/somewhere/phone")
    assert phone.file(path).is_relative_to(phone.root)
    assert ".." not in phone.file(path).parts


def test_paths_in_commands_are_moved(tmp_path: Path) -> None:
    phone = FakePhone.__new__(FakePhone)
    phone.root = Path("/r")
    moved = {
        "cat /proc/cpuinfo": "cat /r/proc/cpuinfo",
        "/data/local/tmp/x --graph=/data/a '/sdcard/it s' >/data/b": (
            "/r/data/local/tmp/x --graph=/r/data/a '/r/sdcard/it s' >/r/data/b"
        ),
        "ls /; cat </dev/null ./data/x a/data/x /database": "ls /; cat </dev/null ./data/x a/data/x /database",
    }
    for command, expected in moved.items():
        assert phone.inward(command) == expected


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12))
def test_paths_in_output_are_moved_back_wherever_it_is_cut(cuts: list[int]) -> None:
    text = b"/srv/here/data/x and /srv/here and /srv/her/ /srv/srv/here/sys"
    outward, shown, rest = Outward(Path("/srv/here")), b"", text
    for cut in [*cuts, len(text)]:
        shown += outward.feed(rest[:cut])
        rest = rest[cut:]
    assert shown + outward.end() == b"/data/x and  and /srv/her/ /srv/sys"


@pytest.mark.adb
def test_the_client_cannot_leave_the_folder(fakephone: FakePhone, adb: str, tmp_path: Path) -> None:
    run([adb, "connect", fakephone.serial], 30, name="x")
    (tmp_path / "secret").write_text("s")
    up = f"/data/local/tmp{'/..' * 20}{tmp_path}/secret"
    assert run([adb, "pull", up, str(tmp_path / "out")], 30, name="x")[0] == 1
    assert run([adb, "push", __file__, f"{up}2"], 30, name="x")[0] == 1
    assert sorted(each.name for each in tmp_path.iterdir()) == ["phone", "secret"]
