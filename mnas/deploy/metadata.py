"""What a deployed file says of itself, so that it can be used and traced without its run folder."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

from mnas.evaluate import TrainedNetwork
from mnas.latency import LatencyTable
from mnas.lower import Dtype, Format


def metadata(
    network: TrainedNetwork,
    format: Format,  # noqa: A002
    table: LatencyTable | None,
    dtype: Dtype = "float32",
) -> dict[str, str]:
    """Text properties to embed in a model file.

    The architecture, class labels, how to prepare an image (layout, colour order, mean and std in 0..1), the test
    accuracy of the float32 network, the seed, the version of mnas, and with a table of the same dtype the predicted
    latency and the conditions it holds under.
    """
    x = network.architecture.x
    colours = {1: "gray", 3: "rgb"}.get(x.c, f"{x.c} channels")
    out = {
        "architecture": str(network.architecture),
        "classes": json.dumps(list(network.classes)),
        "dataset": Path(network.dataset).name,  # the name, not where it lies on this machine
        "dtype": dtype,
        "input_layout": "NCHW" if format == "onnx" else "NHWC",
        "colour_order": colours,
        "input_scaling": "(pixel / 255 - mean) / std",
        "mean": json.dumps([round(float(v), 6) for v in network.mean]),
        "std": json.dumps([round(float(v), 6) for v in network.std]),
        "seed": str(network.seed),
        "mnas_version": version("mnas"),
    }
    if network.test_accuracy is not None:
        out["test_accuracy" if dtype == "float32" else "float32_test_accuracy"] = f"{network.test_accuracy:.4f}"
    if table is not None and table.conditions.dtype == dtype:
        estimate = table.predict(network.architecture)
        out["predicted_ms"] = f"{estimate.ms:.4f}"
        out["predicted_for"] = "; ".join(f"{key}={value}" for key, value in table.conditions.to_dict().items())
        out["latency_table"] = f"{table.name} sha256={table.sha256}"
    return out
