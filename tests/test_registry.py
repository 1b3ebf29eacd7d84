from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mnas import registry
from mnas.registry import Registry


def test_threads_wait_until_all_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    things: Registry[int] = Registry("thing", ("slow_things",))
    monkeypatch.setattr(registry, "things", things, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "slow_things.py").write_text(
        "import time\nfrom mnas.registry import things\ntime.sleep(0.2)\nthings.register('one')(1)\n"
    )
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(things.__getitem__, ["one"] * 4)) == [1] * 4
