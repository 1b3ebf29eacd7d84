from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mnas.runtimes import runner

STAND_IN = """
import importlib.util, os, signal, sys, time
spec = importlib.util.spec_from_file_location("runner", {real!r})
runner = importlib.util.module_from_spec(spec)
sys.modules["runner"] = runner
spec.loader.exec_module(runner)

class Outputs:
    def astype(self, dtype): return self
    def __abs__(self): return self
    def sum(self): return 2.5

def load(path):
    word = open(path).read()
    runs = []
    def run():
        runs.append(word)
        if word == "abort" or word == "late abort" and len(runs) > 3: os.abort()
        if word == "kill": os.kill(os.getpid(), signal.SIGKILL)
        if word == "hang": time.sleep(60)
        if word == "slow": time.sleep(0.02)
        if word == "raise" or word == "late" and len(runs) > 3: raise ValueError("cannot do this\\nand more")
    if word == "junk": raise RuntimeError
    return runner.Model(run, lambda: [Outputs(), Outputs()])

runner.RUNTIMES = dict.fromkeys(runner.RUNTIMES, lambda num_threads, seed: load)
{before}
runner.main(*sys.argv[1:])
{after}
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Put a runner in place of the real one whose models do what their files say in a word."""

    def put(before: str = "", after: str = "") -> Path:
        path = tmp_path / "stand_in.py"
        path.write_text(STAND_IN.format(real=runner.__file__, before=before, after=after))
        monkeypatch.setattr("mnas.runtimes.execution.RUNNER", path)
        return path

    return put


@pytest.fixture
def words(tmp_path: Path) -> Callable[..., dict[str, Path]]:
    """Write model files for the stand-in runner: each is named by its word and a number."""

    def write(*texts: str) -> dict[str, Path]:
        paths = {f"{text} {i}": tmp_path / f"{i}.onnx" for i, text in enumerate(texts)}
        for (name, path), text in zip(paths.items(), texts, strict=True):
            assert name.startswith(text)
            path.write_text(text)
        return paths

    return write
