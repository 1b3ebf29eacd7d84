from __future__ import annotations

import pytest

from mnas.errors import CheckError
from mnas.latency import anchor_ratio

THEN = {f"a{i}": 1.0 + i for i in range(8)}


def test_the_median_ratio_ignores_an_odd_anchor() -> None:
    now = {name: ms * 1.3 for name, ms in THEN.items()} | {"a0": 9.0}
    found = anchor_ratio(now, THEN)
    assert found.ratio == pytest.approx(1.3)
    assert found.spread == pytest.approx(0)
    assert found.n == 8


def test_anchors_that_disagree_are_refused() -> None:
    now = {name: ms * (1.0 + 0.1 * i) for i, (name, ms) in enumerate(THEN.items())}
    with pytest.raises(CheckError, match=r"8 anchors disagree by \d+% .*1\.00 to 1\.70.*run again"):
        anchor_ratio(now, THEN)


def test_too_few_anchors_are_refused() -> None:
    with pytest.raises(CheckError, match="only 2 of 8 anchors"):
        anchor_ratio({"a1": 2.0, "a2": 3.0, "other": 1.0}, THEN)
