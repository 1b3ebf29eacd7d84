"""Stands in for `benchmark_model` on test phones: takes its flags, prints what it prints, with times from the ops.

`standin.install` writes it beside a line that names the interpreter, and the names STYLE, FAULTS and STARTS. It needs
the standard library only. Times are a function of the model: 2 us an operator and 2000 MACs a us.
"""

from __future__ import annotations

import os
import shutil
import signal
import struct
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple

STYLE = "proto"
FAULTS: dict[str, str] = {}
STARTS = os.devnull
KINDS = {
    0: "ADD", 1: "AVERAGE_POOL_2D", 2: "CONCATENATION", 3: "CONV_2D", 4: "DEPTHWISE_CONV_2D", 9: "FULLY_CONNECTED",
    14: "LOGISTIC", 17: "MAX_POOL_2D", 18: "MUL", 19: "RELU", 21: "RELU6", 22: "RESHAPE", 34: "PAD", 40: "MEAN",
    65: "SLICE", 114: "QUANTIZE", 117: "HARD_SWISH",
}  # fmt: skip
XNNPACK = {
    "ADD": "Add (ND)", "AVERAGE_POOL_2D": "Average Pooling (NHWC, F32) Pixelwise Average Pooling",
    "CONCATENATION": "Copy (NC, X32)", "CONV_2D": "Convolution (NHWC, F32) IGEMM",
    "DEPTHWISE_CONV_2D": "Convolution (NHWC, F32) DWConv", "FULLY_CONNECTED": "Fully Connected (NC, F32) GEMM",
    "LOGISTIC": "Sigmoid (NC)", "MAX_POOL_2D": "Max Pooling (NHWC, F32)", "MUL": "Multiply (ND)",
    "RELU": "Clamp (NC)", "RELU6": "Clamp (NC)", "RESHAPE": "Static Reshape (NC)", "PAD": "Constant Pad (ND, X32)",
    "MEAN": "Mean (ND) Reduce2", "SLICE": "Slice (ND, X32)", "QUANTIZE": "Convert (NC)", "HARD_SWISH": "HardSwish (NC)",
}  # fmt: skip
FLAGS: dict[str, tuple[str, ...]] = {
    "text": (),
    "csv": ("profiling_output_csv_file",),
    "proto": ("op_profiling_output_mode",),
}


class Op(NamedTuple):
    kind: str
    tensor: str
    us: float


class Row(NamedTuple):
    kind: str
    name: str
    us: float


class Table:
    """A table of a flatbuffer."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def field(self, number: int) -> int:
        """Where a field is; 0 if it has its default."""
        vtable = self.at - self.number("<i", self.at)
        offset = self.number("<H", vtable + 4 + 2 * number) if 4 + 2 * number < self.number("<H", vtable) else 0
        return self.at + offset if offset else 0

    def number(self, form: str, at: int) -> int:
        return int(struct.unpack_from(form, self.data, at)[0])

    def scalar(self, number: int, form: str) -> int:
        at = self.field(number)
        return self.number(form, at) if at else 0

    def vector(self, number: int) -> range:
        """Where the elements of four bytes of a vector are."""
        at = self.field(number)
        if not at:
            return range(0)
        at += self.number("<I", at)
        return range(at + 4, at + 4 + 4 * self.number("<I", at), 4)

    def ints(self, number: int) -> list[int]:
        return [self.number("<i", at) for at in self.vector(number)]

    def tables(self, number: int) -> list[Table]:
        return [Table(self.data, at + self.number("<I", at)) for at in self.vector(number)]

    def text(self, number: int) -> str:
        at = self.field(number)
        at += self.number("<I", at)
        return self.data[at + 4 : at + 4 + self.number("<I", at)].decode()


def operators(data: bytes) -> Iterator[Op]:
    model = Table(data, struct.unpack_from("<I", data)[0])
    codes = [max(code.scalar(0, "<b"), code.scalar(3, "<i")) for code in model.tables(1)]
    graph = model.tables(2)[0]
    tensors = graph.tables(0)
    for operator in graph.tables(3):
        kind = KINDS[codes[operator.scalar(0, "<I")]]
        inputs, output = operator.ints(1), tensors[operator.ints(2)[0]]
        elements = size(output.ints(0))
        weights = size(tensors[inputs[1]].ints(0)) if kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED") else 0
        work = weights * elements // output.ints(0)[-1] if weights else elements // 8
        yield Op(kind, output.text(3), 2 + work / 2000)


def size(shape: list[int]) -> int:
    total = 1
    for n in shape:
        total *= n
    return total


def rows(ops: list[Op], *, xnnpack: bool) -> list[Row]:
    if not xnnpack:
        return [Row(op.kind, f"[{op.tensor}]:{i}", op.us) for i, op in enumerate(ops)]
    found = []
    for op in ops:
        if op.kind == "FULLY_CONNECTED":
            found.append(("Static Reshape (NC)", 0.0))
        found.append((XNNPACK[op.kind], max(op.us - 0.5, 0.0)))
    return [Row(kind, f"Delegate/{kind}:{i}", us) for i, (kind, us) in enumerate(found)]


def counted(runs: int, us: float, backwards: bool) -> str:
    """A summary as the tool prints it."""
    if runs == 1:
        return f"count=1 curr={us:.0f}"
    tail = f" p5={us * 0.99:.0f} median={us:.0f} p95={us * 1.01:.0f}" if STYLE == "proto" else ""
    low = -us if backwards else us * 0.98
    return f"count={runs} first={us * 1.1:.0f} curr={us:.0f} min={low:.0f} max={us * 1.1:.0f} avg={us:.6g} std=1{tail}"


def table(found: list[Row], *, as_csv: bool) -> str:
    old = STYLE != "proto"
    total = sum(row.us for row in found) or 1.0
    if as_csv:
        lines = [f"node type, {'start, ' if old else ''}first, avg_ms, %, cdf%, mem KB, times called, name"]
        for row in found:
            ms, name = row.us / 1000, row.name if old else row.name.replace(",", "\t")
            start = "0.5, " if old else ""
            lines.append(f"{row.kind}, {start}{ms:.6g}, {ms:.6g}, {100 * row.us / total:.6g}%, 50%, 0, 1, {name}")
    else:
        heads = [*(["[start]"] if old else []), "[first]", "[avg ms]", "[%]", "[cdf%]", "[mem KB]", "[times called]"]
        lines = ["\t             [node type]" + "".join(f"\t{head:>9}" for head in heads) + "\t[Name]"]
        for row in found:
            ms, start = row.us / 1000, "\t    0.500" if old else ""
            share = f"\t{100 * row.us / total:7.3f}%\t 50.000%\t     0.000\t        1\t{row.name}"
            lines.append(f"\t{row.kind:>24}{start}\t{ms:9.3f}\t{ms:9.3f}{share}")
    title = "Operator-wise Profiling Info for Regular Benchmark Runs:\n============================== {} ======\n"
    body = title.format("Run Order") + "\n".join(lines) + "\n\n"
    return body + "============================== Top by Computation Time ======\n" + "\n".join(lines[:2]) + "\n\n"


def varint(number: int) -> bytes:
    data = b""
    while number > 127:
        data, number = data + bytes([number & 127 | 128]), number >> 7
    return data + bytes([number])


def message(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def proto(found: list[Row], runs: int) -> bytes:
    """The tool's protobuf of a profile."""
    ops = b""
    for i, row in enumerate(found):
        stat = b"".join(varint(n << 3) + varint(value) for n, value in ((8, round(row.us * runs)), (9, runs)))
        op = message(1, row.kind.encode()) + message(2, stat) + varint(4 << 3) + varint(1)
        ops += message(3, op + message(5, row.name.encode()) + varint(6 << 3) + varint(i))
    return message(3, message(1, ops))


def say(*lines: str) -> None:
    """Print lines as the tool does."""
    prefix = "INFO: " if STYLE == "proto" else ""
    sys.stdout.write("".join(f"{prefix}{line}\n" for line in lines))
    sys.stdout.flush()


def strike(fault: str) -> None:
    """Go wrong as asked."""
    if fault == "crash":
        os.abort()
    if fault == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "hang":
        time.sleep(600)
    if fault == "full":
        shutil.rmtree("results")  # where nothing can be written any more
    if fault == "garbage":
        say("\x00\x7f count=many avg=nonsense")
        sys.exit(0)
    if fault == "refuse":
        said = (
            "Node number 57 (BATCH_MATMUL) failed to prepare.",
            "Failed to allocate tensors!",
            "Benchmarking failed.",
        )
        sys.stderr.write("".join(f"ERROR: {line}\n" for line in said))
        sys.exit(1)


def usage() -> int:
    known = ("graph", "num_runs", "num_threads", "use_xnnpack", "use_gpu", "enable_op_profiling", *FLAGS[STYLE])
    sys.stderr.write("usage: benchmark_model <flags>\nFlags:\n" + "".join(f"\t--{flag}=...\n" for flag in known))
    return 1


def profile(given: dict[str, str], found: list[Row], runs: int) -> None:
    """Write or print the profile of ops."""
    if path := given.get("op_profiling_output_file"):
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(proto(found, runs))
    elif path := given.get("profiling_output_csv_file"):
        with open(path, "w") as out:  # noqa: PTH123
            out.write(table(found, as_csv=True))
    else:
        sys.stdout.write(table(found, as_csv=False))


def main(words: list[str]) -> int:
    with open(STARTS, "a") as file:  # noqa: PTH123
        file.write("started\n")
    given = dict(word.removeprefix("--").partition("=")[::2] for word in words)
    if "help" in given:
        return usage()
    with open(given["graph"], "rb") as model:  # noqa: PTH123
        data = model.read()
    say("STARTING!", f"Graph: [{given['graph']}]")
    fault = next((fault for fault, marker in FAULTS.items() if marker.encode() in data), "")
    strike(fault if data[4:8] == b"TFL3" else "refuse")
    ops = list(operators(data))
    us = 15 + 1.02 * sum(op.us for op in ops)
    runs, warmups = int(given["num_runs"]), int(given["warmup_runs"])
    if given.get("use_gpu") == "true":
        say("Explicitly applied GPU delegate, and the model graph will be completely executed by the delegate.")
    for n, each in ((warmups, 1.5 * us), (runs, us)):
        say(f"Running benchmark for at least {n} iterations", counted(n, each, fault == "backwards"), "")
    if fault != "partial":
        say(f"Inference timings in us: Init: 17187, First inference: 9, Warmup (avg): 9, Inference (avg): {us:.6g}")
        if given.get("enable_op_profiling") == "true":
            profile(given, rows(ops, xnnpack=given.get("use_xnnpack") != "false"), runs)
    return 0
