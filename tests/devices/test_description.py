from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from mnas.devices import Device, device, device_names
from mnas.devices.description import described
from mnas.errors import ConfigError, DeviceError
from mnas.shipped import folder


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """An empty `./devices` and an empty folder of the user's devices."""
    here, config = tmp_path / "work" / "devices", tmp_path / "config" / "mnas" / "devices"
    here.mkdir(parents=True)
    config.mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return here, config


def test_local_always_exists(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(import_module("mnas.devices.description"), "folder", lambda name: tmp_path / "nowhere")
    assert device("local") == Device("local")
    assert described() == ([Device("local")], {})
    assert device("local").local


def test_shipped_file_names_every_field() -> None:
    shipped = device(folder("devices") / "local.toml")
    assert shipped.local
    text = (folder("devices") / "local.toml").read_text()
    assert all(f"\n{name} = " in text for name in Device.__dataclass_fields__ if name != "name")


def test_the_first_folder_wins(places: tuple[Path, Path]) -> None:
    here, config = places
    (config / "board.toml").write_text('transport = "ssh"\naddress = "pi@board"\n')
    assert device("board") == Device("board", "ssh", "pi@board")
    (here / "board.toml").write_text('taskset = "f0"\n')
    assert device("board") == Device("board", taskset="f0")
    assert device_names() == ["amd-epyc", "board", "local"]
    assert not device(config / "board.toml").local


def test_every_field_comes_back_from_its_file(places: tuple[Path, Path]) -> None:
    board = Device(
        "board", "ssh", "pi@board", "/usr/bin/python3", "f0", "/var/tmp", "~/bin/benchmark_model", 45, True, 'a "board"'
    )
    (places[0] / "board.toml").write_text(board.to_toml())
    assert device("board") == board
    assert device("board").max_temp_c == 45.0
    assert Device("plain").to_toml() == ""


def test_unknown_device_says_what_is_known(places: tuple[Path, Path]) -> None:
    (places[0] / "board.toml").write_text("")
    with pytest.raises(DeviceError, match=r"unknown device 'bord'; known: amd-epyc, board, local; .*devices/bord.toml"):
        device("bord")
    with pytest.raises(DeviceError, match=r"no device file .*gone.toml"):
        device("gone.toml")


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "", ".", "..", "a/b", "a\\b", "-x", "a\n", "a\0"])
def test_names_stay_in_their_folder(places: tuple[Path, Path], name: str) -> None:
    (places[0].parent / "x.toml").write_text("")
    with pytest.raises(ConfigError, match="a device's name"):
        device(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("transprot = 'ssh'", "unknown keys transprot; known: transport, address"),
        ("name = 'other'", "unknown keys name"),
        ("taskset = 15", "taskset must be text, got 15"),
        ("taskset = 'f0; reboot'", "hexadecimal mask"),
        ("address = '-oProxyCommand=x'", "must not start with a dash"),
        ("python = '-c'", "must not start with a dash"),
        ("binary = '--help'", "must not start with a dash"),
        ('address = "a\\nb"', "control characters"),
        ("folder = 'tmp'", "folder must be an absolute path"),
        ("max_temp_c = '40'", "max_temp_c must be a number, got '40'"),
        ("max_temp_c = true", "max_temp_c must be a number, got True"),
        ("max_temp_c = -1", "max_temp_c must be degrees or 0"),
        ("max_temp_c = nan", "max_temp_c must be degrees or 0"),
        ("emulated = 1", "emulated must be true or false, got 1"),
        ("transport =", "cannot read device file"),
        ("\udcff", "cannot read device file"),
    ],
)
def test_wrong_files_are_named(places: tuple[Path, Path], text: str, message: str) -> None:
    path = places[0] / "board.toml"
    path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ConfigError, match=message) as caught:
        device("board")
    assert "board" in str(caught.value)
    known, wrong = described()
    assert [each.name for each in known] == ["amd-epyc", "local"]
    assert list(wrong) == ["board"]
