from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnas.spaces import spaces
from tests.boards import root
from tests.boards.sshd import Sshd, lacking
from tests.latency.fakes import tiny


@pytest.fixture(scope="session")
def board_server() -> Iterator[Sshd]:
    """The test board, reached over ssh; its /tmp is `tmp` of the server's folder."""
    if why := lacking():
        pytest.skip(why)
    try:
        made = root.root()
    except root.NoBoardError as error:
        pytest.skip(str(error))
    folder = Path(tempfile.mkdtemp(prefix="mnas-board."))
    try:
        (folder / "tmp").mkdir()
        server = Sshd(folder, force=root.session(made, folder / "tmp"), name="board pi")
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def board(board_server: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sshd:
    """The test board as the device `board` of the current folder, which is the test's own."""
    monkeypatch.setenv("PATH", f"{board_server.folder / 'bin'}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "devices").mkdir()
    text = 'transport = "ssh"\naddress = "board"\nemulated = true\n'
    (tmp_path / "devices" / "board.toml").write_text(text)
    return board_server


@pytest.fixture
def tiny_space() -> Iterator[None]:
    """The space `tiny` for the command line."""
    list(spaces)
    spaces.register("tiny")(lambda classes=10, image_size=8, channels=1: tiny(classes))
    yield
    del spaces._entries["tiny"]
