from __future__ import annotations

import math
from typing import Literal

import pytest

from mnas.errors import ConfigError
from mnas.searchers.options import check_options, parameters


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


def demanding(space: str, file: str, *, column: str, rate: float | None = None, depth: int | None = None) -> None:
    """A factory that cannot do without some options."""


def test_options_without_a_default_must_be_given() -> None:
    with pytest.raises(ConfigError, match="plugin 'd' needs the option file and column"):
        check_options("plugin 'd'", demanding, {}, reserved=("space",))
    with pytest.raises(ConfigError, match=r"no option 'size'; known: file, column, rate \(default None\)"):
        check_options("plugin 'd'", demanding, {"file": "a", "column": "b", "size": 1}, reserved=("space",))
    given = {"file": "a", "column": "b"}
    assert check_options("plugin 'd'", demanding, given, reserved=("space",)) == given


def test_an_option_that_may_be_none_is_of_its_other_type() -> None:
    given = {"file": "a", "column": "b", "rate": 1, "depth": 2}
    checked = check_options("plugin 'd'", demanding, given, reserved=("space",))
    assert (checked["rate"], checked["depth"]) == (1.0, 2)
    assert type(checked["rate"]) is float
    for name, value in (("rate", "fast"), ("rate", None), ("depth", 1.5)):
        with pytest.raises(ConfigError, match=f"{name} must be a "):
            check_options("plugin 'd'", demanding, {**given, name: value}, reserved=("space",))


def test_parameters_are_read_with_their_annotations() -> None:
    assert parameters(demanding)["depth"].annotation == (int | None)
