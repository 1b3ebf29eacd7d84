"""A device: where models run and how to reach it, as a value that reads from a TOML file."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from dataclasses import dataclass, fields
from math import inf
from pathlib import Path
from typing import Any

import tomli_w

from mnas.errors import ConfigError, DeviceError
from mnas.shipped import folder

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_MASK = re.compile(r"(0x)?[0-9a-fA-F]+")
_KINDS = {str: "text", float: "a number", bool: "true or false"}


@dataclass(frozen=True, slots=True)
class Device:
    """A machine that runs models.

    Attributes:
        name: the stem of its TOML file.
        transport: how files and commands get there, a name in `transports`.
        address: where it is, in the transport's spelling; empty for this machine.
        python: the interpreter to run there; empty takes this one on this machine, `python3` elsewhere.
        taskset: hexadecimal mask of the cores to run on, as `taskset` reads it; empty leaves the choice to the system.
        folder: the folder there in which work folders are made; empty takes the transport's usual one.
        binary: path on this side of the `benchmark_model` that is to run there; empty if there is none.
        max_temp_c: degrees Celsius above which nothing is measured; 0 for no limit.
        emulated: whether its processor is emulated, so that times mean nothing in themselves.
        description: a sentence for people.

    Raises:
        ConfigError: a field of the wrong type, or text that a command would misread.
    """

    name: str
    transport: str = "local"
    address: str = ""
    python: str = ""
    taskset: str = ""
    folder: str = ""
    binary: str = ""
    max_temp_c: float = 0.0
    emulated: bool = False
    description: str = ""

    def __post_init__(self) -> None:
        if type(self.max_temp_c) is int:
            object.__setattr__(self, "max_temp_c", float(self.max_temp_c))
        for field in fields(self):
            kind = str if field.name == "name" else type(field.default)
            value: object = getattr(self, field.name)
            if type(value) is not kind:
                raise ConfigError(f"device {self.name!r}: {field.name} must be {_KINDS[kind]}, got {value!r}")
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"a device's name is letters, digits and . _ - after the first, got {self.name!r}")
        if self.taskset and not _MASK.fullmatch(self.taskset):
            raise ConfigError(f"device {self.name!r}: taskset must be a hexadecimal mask like f0, got {self.taskset!r}")
        for word in ("transport", "address", "python", "folder", "binary"):
            text = getattr(self, word)
            if text.startswith("-") or not text.isprintable():
                raise ConfigError(
                    f"device {self.name!r}: {word} must not start with a dash or hold control characters: {text!r}"
                )
        if self.folder and not self.folder.startswith("/"):
            raise ConfigError(f"device {self.name!r}: folder must be an absolute path, got {self.folder!r}")
        if not 0 <= self.max_temp_c < inf:
            raise ConfigError(f"device {self.name!r}: max_temp_c must be degrees or 0, got {self.max_temp_c}")

    @property
    def local(self) -> bool:
        """Whether it is this machine, so that its files are ours."""
        return self.transport == "local"

    @property
    def interpreter(self) -> str:
        """The Python that runs things there."""
        return self.python or (sys.executable if self.local else "python3")

    def to_toml(self) -> str:
        """What its TOML file says: every field that is not as by default."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "name"}
        defaults = {field.name: field.default for field in fields(self)}
        return tomli_w.dumps({key: value for key, value in values.items() if value != defaults[key]})


def device(name_or_path: str | Path) -> Device:
    """Find a device by name (`local` always exists) or read it from the path of a `.toml` file.

    A name is looked up as `NAME.toml` in `./devices`, then in `mnas/devices` of the user's configuration folder,
    then among the devices that mnas ships.

    Raises:
        DeviceError: no such device or file.
        ConfigError: a name that is none, or a file that is not TOML, has unknown keys or wrong values.
    """
    if isinstance(name_or_path, Path) or name_or_path.endswith(".toml"):
        path = Path(name_or_path)
        if not path.is_file():
            raise DeviceError(f"no device file {path}")
        return _read(path)
    named = Device(name_or_path)
    found = _files().get(named.name)
    if found is not None:
        return _read(found)
    if named.name == "local":
        return named
    raise DeviceError(
        f"unknown device {named.name!r}; known: {', '.join(device_names())}; "
        f"describe it in {Path('devices', named.name + '.toml')}, or have that done by: mnas devices add {named.name}"
    )


def device_names() -> list[str]:
    """Every name that `device` finds, in order."""
    return sorted({"local", *_files()})


def described() -> tuple[list[Device], dict[str, str]]:
    """Every device that has a name, and by name why the file of one cannot be used."""
    found: list[Device] = []
    wrong: dict[str, str] = {}
    for name in device_names():
        try:
            found.append(device(name))
        except ConfigError as error:
            wrong[name] = str(error)
    return found, wrong


def _files() -> dict[str, Path]:
    """The file of each named device; the first folder wins."""
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    found: dict[str, Path] = {}
    for place in (Path("devices"), config / "mnas" / "devices", folder("devices")):
        for path in sorted(place.glob("*.toml")):
            found.setdefault(path.stem, path)
    return found


def _read(path: Path) -> Device:
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # TOML and UTF-8 errors are ValueErrors
        raise ConfigError(f"cannot read device file {path}: {error}") from error
    known = [field.name for field in fields(Device) if field.name != "name"]
    unknown = sorted(set(data) - set(known))
    if unknown:
        raise ConfigError(f"device file {path} has unknown keys {', '.join(unknown)}; known: {', '.join(known)}")
    return Device(path.stem, **data)
