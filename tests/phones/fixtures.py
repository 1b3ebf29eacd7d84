"""Fixtures: an adb server of the tests' own, and a phone."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.phones.furniture import furnish
from tests.phones.phone import FakePhone

_LATE_S = 30


@pytest.fixture(scope="session")
def adb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a private adb server, which is gone afterwards."""
    adb = shutil.which("adb")
    if adb is None:
        pytest.skip("no adb on the path: make boards installs what Debian has")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = tmp_path_factory.mktemp("adb")
    private = {
        "HOME": str(home),
        "TMPDIR": str(home),
        "ANDROID_ADB_SERVER_PORT": str(port),
        "ADB_LOCAL_TRANSPORT_MAX_PORT": "0",  # look for no emulators
    }
    _run(adb, "start-server", {**os.environ, **private})
    yield private
    _run(adb, "kill-server", {**os.environ, **private})


@pytest.fixture(autouse=True)
def no_adb(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test starts the user's adb server or sees the user's phones."""
    monkeypatch.setenv("ADB", "/nonexistent/adb")


@pytest.fixture
def adb(adb_server: dict[str, str], no_adb: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The adb client, which sees the private server only and no phone yet."""
    monkeypatch.delenv("ANDROID_SERIAL", raising=False)
    monkeypatch.delenv("ADB", raising=False)
    for key, value in adb_server.items():
        monkeypatch.setenv(key, value)
    client = shutil.which("adb") or ""
    yield client
    _run(client, "disconnect", {**os.environ, **adb_server})


@pytest.fixture
def fakephone(adb: str, tmp_path: Path) -> Iterator[FakePhone]:
    """A phone that adb can connect to; it looks like one with two big and four small cores."""
    with FakePhone(tmp_path / "phone") as phone:
        furnish(phone)
        yield phone


def _run(client: str, word: str, env: Mapping[str, str]) -> None:
    subprocess.run(
        [client, word], check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LATE_S, env=dict(env)
    )
