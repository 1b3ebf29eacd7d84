"""Help, exit codes and messages of the command line."""

from __future__ import annotations

import errno
import json
import re
from pathlib import Path

import click
import pytest

from mnas.cli import app
from mnas.cli.app import VERBS, run
from mnas.errors import CheckError, ConfigError, DeviceError, MissingLatencyError, MnasError


def _commands(command: click.Command, name: str) -> list[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        subs = ((sub, command.get_command(context, sub)) for sub in command.list_commands(context))
        return [pair for sub, each in subs if each is not None for pair in _commands(each, f"{name} {sub}")]
    return [(name, command)]


ALL = [
    pair
    for verb in VERBS
    for pair in _commands(app.group.get_command(click.Context(app.group), verb) or click.Command(verb), verb)
]


@pytest.mark.parametrize(("name", "command"), ALL, ids=[name for name, _ in ALL])
def test_every_verb_has_help_with_an_example_and_json(
    name: str, command: click.Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*name.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert re.search(rf"Examples?:\n +mnas {name}\b", shown)
    for option in ("--json", "--seed", "--quiet", "--verbose"):
        assert option in shown


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {verb} " in shown for verb in VERBS)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "Usage"),
        (["fly"], 2, "No such command 'fly'"),
        (["profile", "-o", "t"], 2, "give --space, --arch or both"),
        (
            ["profile", "--space", "nowhere", "-o", "t"],
            2,
            "unknown search space 'nowhere'; known: darts, darts-imagenet",
        ),
        (["predict", "mnasnet-a1", "--table", "nowhere"], 2, "no latency table nowhere; in ./latency_tables: none;"),
        (["search", "--trials", "3"], 2, "give the run folder"),
        (["export", "nothing-here"], 2, "no run folder, checkpoint, model, architecture file or published network"),
        (["profile", "--space", "mnasnet-small", "--device", "nophone", "-o", "t"], 3, "unknown device 'nophone'"),
    ],
)
def test_bad_requests(
    arguments: list[str],
    code: int,
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(arguments) == code
    shown = capsys.readouterr()
    assert message in shown.err + shown.out
    assert "Traceback" not in shown.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (MnasError("it broke"), 1, "it broke"),
        (ConfigError("bad key"), 2, "bad key"),
        (DeviceError("unplugged"), 3, "unplugged"),
        (CheckError("over budget"), 4, "over budget"),
        (MissingLatencyError("t", ["conv_c8@3x8x8"], "mnas profile ..."), 5, "conv_c8@3x8x8"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (OSError(errno.ENOSPC, "No space left on device", "table.csv"), 1, "No space left on device: table.csv"),
    ],
)
def test_errors_become_messages_and_exit_codes(
    error: BaseException, code: int, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr("mnas.devices.survey", fail)
    assert run(["devices"]) == code
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.out == ""


def test_interrupted_work_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mnas.latency.profile", stop)
    assert run(["profile", "--space", "mnasnet-small", "-o", "my table"]) == 130
    assert "go on with: mnas profile --space mnasnet-small -o 'my table'" in capsys.readouterr().err


def test_verbose_shows_where_an_error_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["predict", "mnasnet-a1", "--table", "nowhere", "-v"]) == 2
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert shown.splitlines()[-1].startswith("mnas: no latency table nowhere")


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["devices", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "mnas.devices/1"
    assert "local" in [device["name"] for device in document["devices"]]


def test_dry_run_counts_rows_and_writes_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["profile", "--space", "mnasnet-small", "-o", "t", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 400
    assert list(tmp_path.iterdir()) == []
