from __future__ import annotations

import pytest

from mnas.errors import ConfigError
from mnas.evaluate.oneshot import SupernetSettings


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"batch": 7}, "at least 2 images for each of networks >= 1, as batch norm needs, got 7 for 4"),
        ({"networks": 0}, "networks >= 1"),
        ({"images": 20, "batch": 32}, "20 images give no batch of 32"),
        ({"epochs": 0}, "epochs >= 1"),
        ({"lr": 0.0}, "lr > 0"),
        ({"lr": float("inf")}, "lr > 0"),
        ({"weight_decay": -1.0}, "weight_decay >= 0"),
        ({"momentum": 1.0}, "momentum must be in 0..1"),
        ({"op_warmup": 1.0}, "op_warmup must be in 0..1"),
        ({"filter_warmup": -0.1}, "filter_warmup must be in 0..1"),
    ],
)
def test_settings_are_checked(setting: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SupernetSettings(**setting)  # type: ignore[arg-type]


def test_the_rate_is_a_cosine() -> None:
    settings = SupernetSettings(lr=0.2)
    assert [settings.rate(step, 4) for step in (0, 2)] == pytest.approx([0.2, 0.1])
    assert 0 < settings.rate(3, 4) < 0.1
