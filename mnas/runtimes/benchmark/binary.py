"""The file that the user gives as `benchmark_model`: which tool it is, and for which processor."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mnas.devices import Device, Transport
from mnas.errors import DeviceError

WHERE = (
    "download the classic TensorFlow Lite tool, built for the device (docs/phones.md says from where), and give it "
    'with --benchmark-binary PATH, or as binary = "PATH" in the device\'s TOML'
)
_MACHINES = {3: "x86", 40: "armeabi-v7a", 62: "x86_64", 183: "arm64-v8a", 243: "riscv64"}
"""The ABI, as Android calls it, by the machine in an ELF header (e_machine)."""
_ABIS = {
    "aarch64": "arm64-v8a", "armv8l": "armeabi-v7a", "armv7l": "armeabi-v7a", "x86_64": "x86_64", "i686": "x86",
    "i386": "x86", "riscv64": "riscv64",
}  # fmt: skip
"""The same by what `uname -m` says."""
_CLASSIC = b"Inference timings in us"
_COMPILED_MODEL = b"benchmark_litert_model"
_ASK = "getprop ro.product.cpu.abilist 2>/dev/null; uname -m"
_ASK_S = 30.0


@dataclass(frozen=True)
class Binary:
    """A `benchmark_model` on this side.

    Attributes:
        path: of the file.
        sha256: of its bytes; no version of the tool tells what it is.
        abi: what it is built for; empty for a script that starts it.
    """

    path: Path
    sha256: str
    abi: str

    @property
    def version(self) -> str:
        """What stands as the version of the runtime: the tool tells none."""
        return f"sha256-{self.sha256[:12]}"


def read_binary(device: Device) -> Binary:
    """Look at the file that `device` names.

    Raises:
        DeviceError: it names none, or the file is missing, is no program, or another tool.
    """
    if not device.binary:
        raise DeviceError(f"device {device.name!r} has no benchmark_model: {WHERE}")
    path = Path(device.binary).expanduser()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DeviceError(f"cannot read benchmark_model {path}: {error.strerror}; {WHERE}") from error
    if data[:2] == b"#!":
        return Binary(path, hashlib.sha256(data).hexdigest(), "")
    machine = elf_machine(data)
    if machine is None:
        raise DeviceError(f"{path} is no program (neither ELF nor a script that begins with #!): {WHERE}")
    check_tool(data, str(path))
    return Binary(path, hashlib.sha256(data).hexdigest(), _MACHINES.get(machine, f"ELF machine {machine}"))


def elf_machine(data: bytes) -> int | None:
    """The machine in an ELF header; nothing for other files."""
    if data[:4] != b"\x7fELF" or len(data) < 20 or data[5] not in (1, 2):
        return None
    number: int = struct.unpack_from("<H" if data[5] == 1 else ">H", data, 18)[0]
    return number


def check_tool(data: bytes, what: str) -> None:
    """Tell the classic tool from others that bear its name.

    Raises:
        DeviceError: it is the LiteRT CompiledModel tool, or no such tool at all.
    """
    if _CLASSIC in data:
        return
    if _COMPILED_MODEL in data:
        raise DeviceError(
            f"{what} is LiteRT's CompiledModel benchmark, which bears the name of the classic TensorFlow Lite tool but "
            f"has other flags, prints milliseconds to two places and times no single op: {WHERE}"
        )
    raise DeviceError(f"{what} is not benchmark_model (it never says '{_CLASSIC.decode()}'): {WHERE}")


def check_fits(binary: Binary, device: Device, transport: Transport) -> None:
    """Ask the device what it runs, so that a program for another processor is never started.

    Raises:
        DeviceError: the device does not run programs of this kind, or does not answer.
    """
    if not binary.abi:
        return
    _, out, _ = transport.run(["sh", "-c", _ASK], _ASK_S)
    runs = abis(out.split())
    if runs and binary.abi not in runs:
        raise DeviceError(
            f"{binary.path} is built for {binary.abi}, device {device.name!r} runs {', '.join(runs)}: {WHERE}"
        )


def abis(words: Sequence[str]) -> list[str]:
    """The ABIs that a device runs, from its list of them (comma-separated, Android) and what `uname -m` says."""
    found = [abi for word in words for abi in word.split(",")]
    known = [_ABIS.get(word, word) for word in found]
    return list(dict.fromkeys(abi for abi in known if abi in _MACHINES.values()))
