"""A device: where models run and how to reach it, as a value that reads from a TOML file."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from mnas.errors import ConfigError, DeviceError
from mnas.shipped import folder

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_MASK = re.compile(r"(0x)?[0-9a-fA-F]+")


@dataclass(frozen=True, slots=True)
class Device:
    """A machine that runs models.

    Attributes:
        name: the stem of its TOML file.
        transport: how files and commands get there, a name in `transports`.
        address: where it is, in the transport's spelling; empty for this machine.
        python: the interpreter to run there; empty takes this one on this machine, `python3` elsewhere.
        taskset: hexadecimal mask of the cores to run on, as `taskset` reads it; empty leaves the choice to the system.
        description: a sentence for people.

    Raises:
        ConfigError: a field that is no text, or text that a command would misread.
    """

    name: str
    transport: str = "local"
    address: str = ""
    python: str = ""
    taskset: str = ""
    description: str = ""

    def __post_init__(self) -> None:
        for field in fields(self):
            value: object = getattr(self, field.name)
            if not isinstance(value, str):
                raise ConfigError(f"device {self.name!r}: {field.name} must be text, got {value!r}")
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"a device's name is letters, digits and . _ - after the first, got {self.name!r}")
        if self.taskset and not _MASK.fullmatch(self.taskset):
            raise ConfigError(f"device {self.name!r}: taskset must be a hexadecimal mask like f0, got {self.taskset!r}")
        for word in ("address", "python"):
            if getattr(self, word).startswith("-"):
                raise ConfigError(f"device {self.name!r}: {word} must not start with a dash: {getattr(self, word)!r}")

    @property
    def local(self) -> bool:
        """Whether it is this machine, so that its files are ours."""
        return self.transport == "local"


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
    known = ", ".join(sorted({"local", *_files()}))
    raise DeviceError(
        f"unknown device {named.name!r}; known: {known}; "
        f"describe it in {Path('devices', named.name + '.toml')} to add it"
    )


def devices() -> list[Device]:
    """Every device that `device` finds by name, in order of names."""
    return [device(name) for name in sorted({"local", *_files()})]


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
