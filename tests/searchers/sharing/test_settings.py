from __future__ import annotations

import pytest

from mnas.errors import ConfigError
from mnas.evaluate.oneshot import SupernetSettings
from mnas.searchers import TunasSettings


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"batch": 1}, "at least 2 images for each of networks"),
        ({"images": 60, "batch": 32}, "60 images give no batch of 32 in either half"),
        ({"samples": 0}, "samples >= 1"),
        ({"policy_lr": 0.0}, "policy_lr > 0"),
        ({"entropy": -1.0}, "entropy >= 0"),
        ({"decay": 1.0}, "0 <= decay < 1"),
        ({"quiet": 1.0}, "0 <= quiet < 1"),
    ],
)
def test_settings_are_checked(setting: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TunasSettings(**setting)  # type: ignore[arg-type]


def test_the_weights_have_half_of_the_images() -> None:
    assert TunasSettings(images=400, lr=0.2).weights == SupernetSettings(images=200, lr=0.2)
