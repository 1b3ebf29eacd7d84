"""The documentation of the settings."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from mnas.searchers import DartsSettings
from mnas.spaces import RelaxedSpace, space, spaces

TEXT = (Path(__file__).parents[3] / "docs" / "darts.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the table that begins with a heading."""
    table = TEXT[TEXT.index(f"| {heading} |") :].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_every_option_is_documented_with_its_default() -> None:
    documented: dict[str, str] = {}
    for names, defaults, _ in rows("option"):
        named = re.findall("`(.*?)`", names)
        given = defaults.split(", ") if len(named) > 1 and "," in defaults else [defaults] * len(named)
        documented.update(zip(named, given, strict=True))
    assert list(documented) and set(documented) == {field.name for field in fields(DartsSettings)}  # noqa: PT018
    for name, text in documented.items():
        default = getattr(DartsSettings(), name)
        if isinstance(default, bool) or default is None:
            assert text == ("the space's" if default is None else str(default).lower())
        else:
            assert type(default)(text) == default


def test_every_space_that_can_be_searched_is_documented() -> None:
    documented = {name for names, *_ in rows("space") for name in re.findall("`(.*?)`", names)}
    made = [space(name) for name in spaces if name != "primitives"]
    assert documented == {each.name for each in made if isinstance(each, RelaxedSpace)}
