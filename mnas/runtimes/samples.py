"""The conditions a latency holds under; no latency travels without them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from mnas.errors import FormatError


@dataclass(frozen=True, slots=True)
class Conditions:
    """Everything that must agree before two latencies may be compared.

    Attributes:
        device: its name.
        runtime: the runtime's name in `runtimes`.
        runtime_version: the version of its wheel or binary.
        options: what it was told, `key=value` sorted and joined by `;` (see `join_options`).
        dtype: the numbers inside the models, "float32" or "int8".
        num_threads: threads of the runtime.
        batch: samples per run.
        affinity: mask of the cores it was bound to, empty if free.
        emulated: whether the device's processor was emulated, so that times mean nothing in themselves.
    """

    device: str
    runtime: str
    runtime_version: str
    options: str
    dtype: str = "float32"
    num_threads: int = 1
    batch: int = 1
    affinity: str = ""
    emulated: bool = False

    def differences(self, other: Conditions) -> list[str]:
        """Name the unlike fields with both values; empty when latencies may be compared."""
        pairs = ((field.name, getattr(self, field.name), getattr(other, field.name)) for field in fields(self))
        return [f"{name}: {mine!r} against {its!r}" for name, mine, its in pairs if mine != its]

    def to_dict(self) -> dict[str, str | int | bool]:
        """The fields by name, as TOML and JSON hold them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Conditions:
        """Read what `to_dict` gave.

        Raises:
            FormatError: fields that are missing, unknown or of another type.
        """
        types = {"num_threads": int, "batch": int, "emulated": bool}
        names = [field.name for field in fields(cls)]
        if sorted(data) != sorted(names):
            raise FormatError(f"conditions need exactly {', '.join(names)}; got {', '.join(data) or 'nothing'}")
        for name in names:
            if type(data[name]) is not types.get(name, str):
                raise FormatError(f"conditions: {name} must be {types.get(name, str).__name__}, got {data[name]!r}")
        return cls(**data)


def join_options(options: Mapping[str, str | int]) -> str:
    """Spell options as `Conditions` holds them."""
    return ";".join(f"{key}={options[key]}" for key in sorted(options))


def split_options(options: str) -> dict[str, str]:
    """Read what `join_options` gave."""
    return dict(option.split("=", 1) for option in options.split(";") if option)
