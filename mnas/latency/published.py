"""Latency tables as others publish them: YAML of `key: {count, mean, std}`, read without trusting it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import yaml

from mnas.errors import FormatError

_LARGEST_BYTES = 2_000_000
_DEEPEST = 2
_LAYOUT = "a published table is a mapping of keys to count, mean and std (or var)"


class Timing(NamedTuple):
    """What a published row says.

    Attributes:
        runs: how many there were.
        mean_ms: their mean.
        std_ms: their standard deviation.
    """

    runs: int
    mean_ms: float
    std_ms: float


def read_timings(file: Path) -> dict[str, Timing]:
    """Read a published YAML file with the safe loader.

    Size, aliases, anchors, tags, lists and depth are judged on the stream of events, before anything is composed, so
    that no input grows.

    Raises:
        FormatError: too large, no YAML, of another layout, or a row that is impossible or occurs twice; it is named.
    """
    text = _read(file)
    try:
        _check_flat(text)
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        rows = {key: _timing(key, _pairs(node, f"row {key!r}")) for key, node in _pairs(root, "the file").items()}
    except yaml.YAMLError as error:
        raise FormatError(f"{file} is no YAML: {' '.join(str(error).split())}") from error
    except FormatError as error:
        raise FormatError(f"{file}: {error}") from error
    if not rows:
        raise FormatError(f"{file} holds no rows; {_LAYOUT}")
    return rows


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(_LARGEST_BYTES + 1)
        if len(data) > _LARGEST_BYTES:
            raise FormatError(f"{file} is larger than {_LARGEST_BYTES / 1e6:.0f} MB: no published table is")
        return data.decode()
    except OSError as error:
        raise FormatError(f"cannot read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FormatError(f"{file} is no text: {error}") from error


def _check_flat(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 0
        match event:
            case yaml.AliasEvent():
                raise FormatError(f"line {line}: aliases are refused, since they may expand without bound; {_LAYOUT}")
            case yaml.SequenceStartEvent():
                raise FormatError(f"line {line}: a list; {_LAYOUT}")
            case yaml.MappingStartEvent():
                depth += 1
            case yaml.MappingEndEvent():
                depth -= 1
            case _:
                pass
        if depth > _DEEPEST:
            raise FormatError(f"line {line}: nested deeper than {_DEEPEST} levels; {_LAYOUT}")
        if getattr(event, "anchor", None) or getattr(event, "tag", None):
            raise FormatError(f"line {line}: anchors and tags are refused; {_LAYOUT}")


def _pairs(node: yaml.Node | None, where: str) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        raise FormatError(f"{where} is no mapping; {_LAYOUT}")
    pairs: dict[str, yaml.Node] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise FormatError(f"{where}: line {key.start_mark.line + 1} has a key that is no text; {_LAYOUT}")
        if key.value in pairs:
            raise FormatError(f"{where}: {key.value!r} occurs twice")
        pairs[key.value] = value
    return pairs


def _timing(key: str, pairs: Mapping[str, yaml.Node]) -> Timing:
    given = set(pairs)
    if given not in ({"count", "mean", "std"}, {"count", "mean", "var"}):
        raise FormatError(
            f"row {key!r} needs count, mean and std (or var), got {', '.join(sorted(given)) or 'nothing'}"
        )
    numbers = {name: _number(key, name, node) for name, node in pairs.items()}
    count, mean_ms = numbers["count"], numbers["mean"]
    if count < 1 or count != int(count):
        raise FormatError(f"row {key!r}: count must be a whole number of at least 1, got {count:g}")
    if mean_ms <= 0:
        raise FormatError(f"row {key!r}: mean must be a positive number of ms, got {mean_ms:g}")
    std_ms = numbers["std"] if "std" in numbers else math.sqrt(numbers["var"])
    return Timing(int(count), mean_ms, std_ms)


def _number(key: str, name: str, node: yaml.Node) -> float:
    """Read a number that is finite and not negative."""
    text = str(node.value) if isinstance(node, yaml.ScalarNode) else "a mapping"
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise FormatError(f"row {key!r}: {name} must be a number, finite and not negative, got {text}")
    return value
