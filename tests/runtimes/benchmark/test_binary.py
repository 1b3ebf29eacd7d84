from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnas.devices import Device, connect
from mnas.errors import DeviceError
from mnas.runtimes.benchmark.binary import abis, check_fits, elf_machine, read_binary

SAYS = b"Inference timings in us: "


def elf(machine: int, says: bytes = SAYS, order: str = "<") -> bytes:
    head = b"\x7fELF\x02" + (b"\x01" if order == "<" else b"\x02") + bytes(10)
    return head + struct.pack(f"{order}HH", 3, machine) + bytes(44) + says


def phone(tmp_path: Path, data: bytes) -> Device:
    path = tmp_path / "benchmark_model"
    path.write_bytes(data)
    return Device("phone", binary=str(path))


@pytest.mark.parametrize(
    ("machine", "abi"), [(183, "arm64-v8a"), (40, "armeabi-v7a"), (62, "x86_64"), (8, "ELF machine 8")]
)
def test_the_machine_stands_in_the_header(tmp_path: Path, machine: int, abi: str) -> None:
    found = read_binary(phone(tmp_path, elf(machine)))
    assert found.abi == abi
    assert found.version == f"sha256-{found.sha256[:12]}"
    assert elf_machine(elf(machine, order=">")) == machine


@given(st.binary(max_size=40))
def test_other_files_have_no_machine(data: bytes) -> None:
    assert elf_machine(data) is None or data.startswith(b"\x7fELF")


def test_files_that_are_not_the_tool_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"no benchmark_model: download the classic.*--benchmark-binary"):
        read_binary(Device("phone"))
    with pytest.raises(DeviceError, match="cannot read"):
        read_binary(Device("phone", binary=str(tmp_path / "nowhere")))
    with pytest.raises(DeviceError, match="is no program"):
        read_binary(phone(tmp_path, b"<html>not found</html>"))
    with pytest.raises(DeviceError, match="is not benchmark_model"):
        read_binary(phone(tmp_path, elf(183, b"hello")))
    with pytest.raises(DeviceError, match="CompiledModel benchmark, which bears the name of the classic"):
        read_binary(phone(tmp_path, elf(183, b"litert/tools/benchmark_litert_model.cc")))


def test_a_script_may_start_the_tool(tmp_path: Path) -> None:
    assert read_binary(phone(tmp_path, b"#!/system/bin/sh\n")).abi == ""


def test_a_program_for_another_processor_is_refused(tmp_path: Path) -> None:
    device = phone(tmp_path, elf(243))
    with pytest.raises(DeviceError, match="is built for riscv64, device 'phone' runs"):
        check_fits(read_binary(device), device, connect(device))
    script = phone(tmp_path, b"#!/bin/sh\n")
    check_fits(read_binary(script), script, connect(script))


@pytest.mark.parametrize(
    ("said", "runs"),
    [
        ("arm64-v8a,armeabi-v7a,armeabi\naarch64\n", ["arm64-v8a", "armeabi-v7a"]),
        ("aarch64", ["arm64-v8a"]),
        ("armv8l", ["armeabi-v7a"]),
        ("x86_64", ["x86_64"]),
        ("sparc64", []),
        ("", []),
    ],
)
def test_what_a_device_says_of_itself(said: str, runs: list[str]) -> None:
    assert abis(said.split()) == runs
