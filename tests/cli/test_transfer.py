"""`mnas tables transfer`: both forms of output, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from mnas.cli.app import run
from mnas.runtimes import runtimes
from mnas.spaces import spaces
from tests.latency.fakes import FakeRuntime, install, measure_tiny, tiny


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeRuntime]:
    """A table `known` in the current folder, of a registered space, and a later version of its runtime."""
    monkeypatch.chdir(tmp_path)
    list(runtimes), list(spaces)
    runtime = install(FakeRuntime(swing=0.05, noise=0.01))
    spaces.register("tiny")(lambda classes=10, image_size=8, channels=1: tiny(classes))
    measure_tiny(tmp_path / "known")
    runtime.runtime_version = "2"
    yield runtime
    del runtimes._entries["fake"], spaces._entries["tiny"]


TRANSFER = ("tables", "transfer", "--from", "known", "--to", "local", "-o", "made")


def test_scripts_get_the_space_the_networks_and_the_verdict(
    fake: FakeRuntime, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*TRANSFER, "--budget", "6", "--check", "5", "--json", "-q"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "mnas.tables.transfer/1"
    assert document["space"] == {"name": "tiny", "input": "1x8x8", "classes": 10}
    assert document["table"] == "made"
    assert document["sources"] == ["known"]
    assert document["conditions"]["runtime"] == "fake"
    assert document["verdict"] == "valid"
    assert document["check"]["n"] == 5
    assert document["interval_relative"] > 0
    assert [network["role"] for network in document["networks"]].count("test") == 5
    assert len(document["networks"]) == 11


def test_people_get_a_line_and_what_to_do(fake: FakeRuntime, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*TRANSFER, "--space", "tiny", "-q"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "made: 39 rows of tiny from 1 tables, unverified" in printed
    assert "it rests on 10 networks measured on the device and the rows of known" in printed


def test_an_interruption_says_how_to_go_on(fake: FakeRuntime, capsys: pytest.CaptureFixture[str]) -> None:
    fake.calls.clear()
    fake.dies_at = 2
    assert run([*TRANSFER, "-q"]) == 130
    assert "go on with: mnas tables transfer --from known" in capsys.readouterr().err
    assert run([*TRANSFER, "-q"]) == 0


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["--image-size", "8"], 2, "belong to a --space"),
        (["--from", " , "], 2, "--from names no table"),
        (["--from", "absent"], 2, "no latency table absent"),
        (["--budget", "3"], 2, "budget must be at least 5"),
        (["--to", "nowhere"], 3, "nowhere"),
        (["--space", "mnasnet-small"], 5, "lacks"),
    ],
)
def test_mistakes_are_refused(
    more: list[str], code: int, message: str, fake: FakeRuntime, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*TRANSFER, *more, "-q"]) == code
    assert message in capsys.readouterr().err
    assert not Path("made.toml").exists()
