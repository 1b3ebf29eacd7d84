"""Hardware-aware mobile neural architecture search: profile a device, search under a latency budget, export.

    space = mnas.space("mnasnet-small", classes=10, image_size=32)
    table = mnas.profile(space, device="local", runtime="litert")
    run   = mnas.search(space, data="fashion-mnist", table=table, target_ms=1.0, trials=100, seed=0, run="runs/demo")
    net   = mnas.train(run.best().architecture, data="fashion-mnist", epochs=20, seed=0)
    files = mnas.export(net, formats=("onnx", "tflite"), out="exports")
    print(mnas.bench(files, device="local", against=table))

Names are loaded when first used: `import mnas` pulls in neither torch nor pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mnas.deploy import export as export
    from mnas.evaluate import dataset as dataset
    from mnas.evaluate import train as train
    from mnas.ir import Architecture as Architecture
    from mnas.latency import bench as bench
    from mnas.latency import load_table as load_table
    from mnas.latency import profile as profile
    from mnas.searchers import Run as Run
    from mnas.searchers import search as search
    from mnas.spaces import space as space
    from mnas.spaces.reference import reference as reference

_HOME = {
    "Architecture": "mnas.ir",
    "Run": "mnas.searchers",
    "bench": "mnas.latency",
    "dataset": "mnas.evaluate",
    "export": "mnas.deploy",
    "load_table": "mnas.latency",
    "profile": "mnas.latency",
    "reference": "mnas.spaces.reference",
    "search": "mnas.searchers",
    "space": "mnas.spaces",
    "train": "mnas.evaluate",
}
__all__ = [*_HOME]  # noqa: PLE0604 (the names above)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'mnas' has no attribute {name!r}; it has {', '.join(_HOME)}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(_HOME)
