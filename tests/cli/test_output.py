"""What long work prints where there is no terminal."""

from __future__ import annotations

import pytest

from mnas.cli import output


def test_another_total_is_another_piece_of_work(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [0.0]
    monkeypatch.setattr("mnas.cli.output.time.monotonic", lambda: clock[0])
    show = output._lines("search")
    for now, done, total, note in (
        (0.0, 1, 400, "shared weights"),
        (20.0, 21, 400, "shared weights"),
        (100.0, 400, 400, "shared weights"),
        (101.0, 31, 60, "trials"),  # 30 are of before
        (121.0, 41, 60, "trials"),
        (131.0, 60, 60, ""),
    ):
        clock[0] = now
        show(done, total, note)
    assert capsys.readouterr().err.splitlines() == [
        "search  21/400  eta 361 s  shared weights",
        "search  400/400  100 s  shared weights",
        "search  41/60  eta 35 s  trials",
        "search  60/60  30 s",
    ]
