"""Keys of published latency tables, taken apart: `expanded_conv-input:56x56x32-output:28x28x48-expand:96-...`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from mnas.errors import FormatError
from mnas.ir import Shape


class Key(NamedTuple):
    """The text of a key, the layer it names, and its fields as they are spelt."""

    text: str
    name: str
    fields: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> Key:
        """Read `name-field:value-field:value`.

        Raises:
            FormatError: another form, or a field that occurs twice.
        """
        name, *parts = text.split("-")
        pairs = [part.split(":") for part in parts]
        if not re.fullmatch(r"\w+", name) or any(len(pair) != 2 for pair in pairs):
            raise FormatError(f"row {text!r}: a key is name-field:value-field:value")
        fields = {pair[0]: pair[1] for pair in pairs}
        if len(fields) < len(pairs):
            raise FormatError(f"row {text!r}: a field occurs twice")
        return cls(text, name, fields)

    def wrong(self, message: object) -> FormatError:
        """An error that names this row."""
        return FormatError(f"row {self.text!r}: {message}")

    def check_fields(self, *wanted: str) -> None:
        """Make sure that the key has exactly these fields.

        Raises:
            FormatError: it has others.
        """
        if set(self.fields) != set(wanted):
            raise self.wrong(f"{self.name} has the fields {', '.join(wanted)}; got {', '.join(self.fields) or 'none'}")

    def number(self, field: str, least: int = 1, most: int = 65536) -> int:
        """Read a field that is a whole number.

        Raises:
            FormatError: it is none, or out of range.
        """
        value = self.fields[field]
        if not re.fullmatch(r"\d{1,5}", value, re.ASCII) or not least <= int(value) <= most:
            raise self.wrong(f"{field} must be a whole number in {least}..{most}, got {value!r}")
        return int(value)

    def shape(self, field: str) -> Shape:
        """Read a field that is HxWxC.

        Raises:
            FormatError: it is not.
        """
        match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})x([1-9]\d{0,4})", self.fields[field], re.ASCII)
        if match is None:
            raise self.wrong(f"{field} must be HxWxC, got {self.fields[field]!r}")
        h, w, c = map(int, match.groups())
        return Shape(c, h, w)
