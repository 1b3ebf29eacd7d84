from __future__ import annotations

import math
from typing import Literal

import pytest

from mnas.errors import ConfigError
from mnas.searchers.options import check_options


def plugin(space: str, *, size: int = 3, rate: float = 0.5, loud: bool = False, mode: Literal["a", "b"] = "a") -> None:
    """A factory of some role."""


def test_values_get_their_declared_types() -> None:
    checked = check_options(
        "plugin 'p'", plugin, {"size": 4, "rate": 1, "loud": True, "mode": "b"}, reserved=("space",)
    )
    assert checked == {"size": 4, "rate": 1.0, "loud": True, "mode": "b"}
    assert type(checked["rate"]) is float


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("depth", 1, r"plugin 'p' has no option 'depth'; known: size \(default 3\), rate \(default 0.5\)"),
        ("space", "x", "has no option 'space'"),
        ("size", 1.5, "size must be a int, got 1.5"),
        ("size", True, "size must be a int"),
        ("rate", "1", "rate must be a finite float, got '1'"),
        ("rate", math.nan, "finite"),
        ("loud", 1, "loud must be a bool"),
        ("mode", "c", "mode must be one of a, b, got 'c'"),
    ],
)
def test_what_does_not_fit_is_refused(name: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_options("plugin 'p'", plugin, {name: value}, reserved=("space",))
