"""The Python of the README, run as a user's script runs it: small, twice, without a main guard."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
SMALLER = {
    "fashion-mnist": "digits",
    "image_size=32": "image_size=16",
    "trials=100": 'trials=3, evaluator_options={"images": 100, "epochs": 1}',
    "epochs=20": "epochs=1, images=200",
}


@pytest.mark.slow
def test_the_readme_twice(tmp_path: Path) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    for published, small in SMALLER.items():
        assert published in block
        block = block.replace(published, small)
    again = block.replace("import mnas\n", "").replace("runs/api", "runs/again").replace('"exports"', '"again"')
    script = tmp_path / "script.py"
    compare = """
import json
one, two = mnas.Run.open("runs/api"), mnas.Run.open("runs/again")
print(json.dumps([[t.status for t in run.trials] for run in (one, two)]))
"""
    script.write_text(block + again + compare)
    command = [sys.executable, str(script)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path, timeout=400)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("BenchResult") == 4
    first, second = json.loads(done.stdout.splitlines()[-1])
    assert first.count("trained") == second.count("trained") == 3
    assert {path.name for path in (tmp_path / "exports").iterdir()} == {"network.onnx", "network.tflite"}
