"""Which operator of a model file a runtime's node stems from, after the runtime has fused, renamed and added some.

Found by experiment with ONNX Runtime 1.32 on every op and space of mnas: a node in the blocked layout is named
`TENSOR_nchwc` after its output, a convolution with the activation fused into it after the activation's output, and
other nodes keep their name, which is `TENSOR/Kind` in files of `to_onnx`. A scale that becomes a depthwise convolution
is named `TENSOR_mul_nchwc`. Changes of layout (ReorderInput, ReorderOutput) have names without a tensor; they belong to
the operator that reads what they give, for it forces them. The operators that a function is written out in (HardSwish)
have no names at all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from mnas.runtimes import runner

NODE_COLUMNS = {
    "item": "str", "visit": "int64", "round": "int64", "rep": "int64", "node": "int64", "kind": "str", "tensor": "str",
    "ns": "int64", "preempted": "bool",
}  # fmt: skip
"""Columns of `NodeMeasurement.nodes` and their types."""

_LAYOUT = frozenset({"ReorderInput", "ReorderOutput"})
_FUSED = frozenset({"Relu", "Clip", "Sigmoid", "HardSigmoid", "Tanh", "LeakyRelu", "Mul", "Add"})
"""What may be fused into the convolution before it, which then bears its name."""
_SHAPES = ("Flatten", "Reshape", "Squeeze", "Unsqueeze", "Identity")
"""Kinds that compute nothing: what they take is what timing a node takes."""
_US = 1000
_HALF_US = 500
"""A whole number of microseconds was cut off, not rounded: on average half of one is missing."""


class Operator(NamedTuple):
    """Kind and inputs of what gives a tensor."""

    kind: str
    inputs: Sequence[str]


def source(path: Path) -> dict[str, Operator]:
    """The operators of an ONNX file by the tensors they give."""
    return {
        output: Operator(kind, inputs) for _, kind, inputs, outputs in runner.graph(str(path)) for output in outputs
    }


def tensors(nodes: runner.Nodes, model: Mapping[str, Operator]) -> list[str]:
    """The tensor of `model` that each executed node belongs to; empty if none is found.

    Args:
        nodes: in order of execution.
        model: what `source` gave.
    """
    readers: dict[str, list[int]] = defaultdict(list)
    makers: dict[str, int] = {}
    for i, (_, _, inputs, outputs, *_) in enumerate(nodes):
        makers |= dict.fromkeys(outputs, i)
        for tensor in inputs:
            readers[tensor].append(i)
    found = [_own(node, model) for node in nodes]
    for i in reversed(range(len(nodes))):  # what reads a node is executed after it
        near = [found[j] for tensor in nodes[i][3] for j in readers[tensor]]
        found[i] = found[i] or next(filter(None, near), "")
    for i, (_, _, inputs, *_) in enumerate(nodes):
        near = [found[makers[tensor]] for tensor in inputs if tensor in makers]
        found[i] = found[i] or next(filter(None, near), "")
    return found


def _own(node: Sequence[Any], model: Mapping[str, Operator]) -> str:
    """The tensor that a node's own name or output tells."""
    name, kind, _, outputs, *_ = node
    if kind in _LAYOUT:
        return ""
    base = name.removesuffix("_nchwc")
    candidates = (base, base.rpartition("/")[0], base.removesuffix("_mul"), *outputs)
    tensor = next((each for each in candidates if each in model), "")
    return _convolution(tensor, model) if tensor and "Conv" in kind and not base.endswith("_mul") else tensor


def _convolution(tensor: str, model: Mapping[str, Operator]) -> str:
    """The output of the convolution that `tensor` is the activation of; itself if there is none."""
    at = tensor
    while "Conv" not in model[at].kind:
        computed = [each for each in model[at].inputs if each in model]
        if model[at].kind not in _FUSED or not computed:
            return tensor
        at = next((each for each in computed if "Conv" in model[each].kind), computed[0])
    return at


def node_frame(visits: Mapping[int, runner.Nodes], samples: pd.DataFrame, models: Mapping[str, Path]) -> pd.DataFrame:
    """Lay out the nodes of visits as one row per node and run.

    Args:
        visits: nodes by number of the visit.
        samples: the whole runs, with `COLUMNS`.
        models: files by name.

    Returns:
        A frame with `NODE_COLUMNS`.
    """
    known: dict[str, dict[str, Operator]] = {}
    runs = samples[samples["visit"].isin(list(visits))].set_index("visit")
    parts = []
    for visit, nodes in visits.items():
        run = runs.loc[[visit]]
        item = str(run["item"].iloc[0])
        if item not in known:
            known[item] = source(models[item])
        us = np.array([node[4] for node in nodes], np.int64).reshape(len(nodes), len(run))
        columns = {name: np.tile(run[name].to_numpy(), len(nodes)) for name in ("round", "rep", "preempted")}
        numbers = np.arange(len(nodes)).repeat(len(run))
        kind = np.array([node[1] for node in nodes], object).repeat(len(run))
        tensor = np.array(tensors(nodes, known[item]), object).repeat(len(run))
        own = {
            "item": item,
            "visit": visit,
            "node": numbers,
            "kind": kind,
            "tensor": tensor,
            "ns": us.ravel() * _US + _HALF_US,
        }
        parts.append(pd.DataFrame(columns | own))
    frame = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(NODE_COLUMNS))
    return frame[list(NODE_COLUMNS)].astype(NODE_COLUMNS)


def per_node_ns(nodes: pd.DataFrame) -> float:
    """What the profiler's own work adds to the time of every node: the median of nodes that compute nothing.

    It notes the sizes of a node's tensors while the node's clock runs. That took 2.5 to 3 us where whole networks of 20
    to 110 nodes showed 2.6 to 3.0 us per node (their node times less their time without profiler), more than many
    nodes compute. Without such nodes it is unknown, and 0.

    Args:
        nodes: a frame with `NODE_COLUMNS`.
    """
    idle = nodes.loc[nodes["kind"].isin(_SHAPES), "ns"]
    return float(idle.groupby([nodes["visit"], nodes["node"]]).mean().median()) if len(idle) else 0.0
