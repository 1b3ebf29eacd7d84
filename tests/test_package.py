"""The package as a whole: what importing it costs, and what its wheel carries."""

from __future__ import annotations

import importlib
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import mnas

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "pandas", "onnx", "onnxruntime", "sklearn", "ai_edge_litert", "pydantic", "rich"}


def _python(code: str, *, cwd: Path | None = None, path: Path | None = None) -> str:
    env = {"PYTHONPATH": str(path)} if path else None
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=cwd, env=env, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "code",
    [
        "import mnas",
        "from mnas.cli.app import run; assert run(['--help']) == 0",
        "from mnas.cli.app import run; assert run(['search', '--help']) == 0",
    ],
)
def test_importing_and_help_load_nothing_heavy(code: str) -> None:
    shown = _python(f"{code}\nimport sys; print(sorted({HEAVY!r} & set(sys.modules)))")
    assert shown.splitlines()[-1] == "[]"


@pytest.mark.parametrize("module", ["ops", "spaces", "devices", "runtimes", "latency", "searchers", "deploy"])
def test_profiling_and_predicting_load_no_torch(module: str) -> None:
    assert _python(f"import mnas.{module}, sys; print('torch' in sys.modules)").strip() == "False"


def test_public_names_exist_and_no_function_hides_a_module() -> None:
    for info in pkgutil.walk_packages(mnas.__path__, "mnas."):
        if not info.name.startswith("mnas.runtimes.runner"):
            importlib.import_module(info.name)
    for name in mnas.__all__:
        assert callable(getattr(mnas, name)), name
    with pytest.raises(AttributeError, match="has no attribute 'nothing'; it has Architecture"):
        mnas.nothing  # noqa: B018
    assert set(dir(mnas)) == set(mnas.__all__)


@pytest.mark.slow
def test_the_wheel_carries_tables_and_devices(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)], check=True, timeout=300)
    (wheel,) = tmp_path.glob("mnas-*.whl")
    install = [*pip, "install", "--no-deps", "--target", str(tmp_path / "site"), str(wheel)]
    subprocess.run(install, check=True, timeout=300)
    code = """
import mnas
from mnas.shipped import folder
from mnas.devices import device
print(mnas.__file__, folder("devices"), folder("latency_tables").is_dir(), device("local").transport)
"""
    package, devices, tables, transport = _python(code, cwd=tmp_path, path=tmp_path / "site").split()
    assert package.startswith(str(tmp_path))
    assert devices.startswith(str(tmp_path))
    assert (tables, transport) == ("True", "local")
    predict = "from mnas.cli.app import run; assert run(['predict', 'mnasnet-b1', '--table', {!r}, '--json']) == 0"
    said = json.loads(_python(predict.format("mnasnet-amd-epyc-litert-float32"), cwd=tmp_path, path=tmp_path / "site"))
    assert 0 < said["low_ms"] < said["total_ms"] < said["high_ms"]
    grows = "from mnas.latency import load_table; print(load_table('mnasnet-amd-epyc-litert-float32')._grows_at)"
    assert _python(grows, cwd=tmp_path, path=tmp_path / "site").strip() == "ANOTHER_TABLE"
