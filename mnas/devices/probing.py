"""What a device says about itself, read from /proc and /sys through its transport."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from mnas.devices.description import Device
from mnas.devices.transport import Transport, connect

_TIMEOUT_S = 30.0
_PROC = {name: f"/proc/{name}" for name in ("cpuinfo", "meminfo", "loadavg")}
_KERNEL = {name: f"/proc/sys/kernel/{name}" for name in ("ostype", "osrelease")}
_CPU0 = "/sys/devices/system/cpu/cpu0"
_GOVERNOR = f"{_CPU0}/cpufreq/scaling_governor"
_CACHES = [f"{_CPU0}/cache/index{i}" for i in range(6)]
_ARM_CORES = {
    "0xd03": "Cortex-A53", "0xd04": "Cortex-A35", "0xd05": "Cortex-A55", "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72", "0xd09": "Cortex-A73", "0xd0a": "Cortex-A75", "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1", "0xd0d": "Cortex-A77", "0xd41": "Cortex-A78", "0xd44": "Cortex-X1",
    "0xd46": "Cortex-A510", "0xd47": "Cortex-A710", "0xd48": "Cortex-X2", "0xd4d": "Cortex-A715",
    "0xd4e": "Cortex-X3", "0xd49": "Neoverse-N2", "0xd40": "Neoverse-V1",
}  # fmt: skip
"""Part numbers of implementer 0x41 (Arm Ltd), from the cores' technical reference manuals (MIDR_EL1)."""


def facts(device: Device) -> dict[str, str]:
    """Ask a device what it is; a fact it does not tell is empty.

    Returns:
        status ("ready"), cpu_model, machine, cores, l2_kib, l3_kib, system, release, governor, memory_mib,
        load_average (of 1, 5 and 15 minutes).

    Raises:
        DeviceError: the device does not answer.
    """
    transport = connect(device)
    _, machine, _ = transport.run(["uname", "-m"], _TIMEOUT_S)
    files = _read(transport)
    cpuinfo = files.get(_PROC["cpuinfo"], "")
    caches = cache_kib(files)
    return {
        "status": "ready",
        "cpu_model": cpu_model(cpuinfo),
        "machine": machine.strip(),
        "cores": core_count(cpuinfo),
        "l2_kib": caches.get(2, ""),
        "l3_kib": caches.get(3, ""),
        "system": files.get(_KERNEL["ostype"], ""),
        "release": files.get(_KERNEL["osrelease"], ""),
        "governor": files.get(_GOVERNOR, ""),
        "memory_mib": memory_mib(files.get(_PROC["meminfo"], "")),
        "load_average": " ".join(files.get(_PROC["loadavg"], "").split()[:3]),
    }


def cpu_model(cpuinfo: str) -> str:
    """The processor's name in the text of /proc/cpuinfo.

    A board or chip is named before the generic "ARMv8 Processor"; if there are only part numbers, they are read as
    "4x Cortex-A55 + 2x Cortex-X1".
    """
    fields = _fields(cpuinfo)
    for key in ("Model", "Hardware", "model name"):
        if fields.get(key):
            return fields[key][0]
    return " + ".join(f"{n}x {core}" for core, n in Counter(_arm_cores(fields)).items())


def core_count(cpuinfo: str) -> str:
    """How many cores the text of /proc/cpuinfo lists; empty if none."""
    return str(len(_fields(cpuinfo).get("processor", ())) or "")


def memory_mib(meminfo: str) -> str:
    """Total memory in the text of /proc/meminfo, in MiB."""
    found = re.search(r"^MemTotal:\s*(\d+) kB", meminfo, re.MULTILINE)
    return str(int(found[1]) // 1024) if found else ""


def cache_kib(files: Mapping[str, str]) -> dict[int, str]:
    """KiB of the data or unified cache of each level, from files of /sys/devices/system/cpu/cpu0/cache by path."""
    sizes: dict[int, str] = {}
    for cache in _CACHES:
        level, kind = files.get(f"{cache}/level", ""), files.get(f"{cache}/type", "")
        size = size_kib(files.get(f"{cache}/size", ""))
        if level.isdecimal() and kind != "Instruction" and size:
            sizes[int(level)] = size
    return sizes


def size_kib(text: str) -> str:
    """Read "512K" or "16M" as KiB; empty if it is neither."""
    found = re.fullmatch(r"(\d+)([KM])", text)
    return str(int(found[1]) * {"K": 1, "M": 1024}[found[2]]) if found else ""


def _fields(cpuinfo: str) -> dict[str, list[str]]:
    """Every value of each key, in order."""
    fields: dict[str, list[str]] = {}
    for line in cpuinfo.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip(), []).append(value.strip())
    return fields


def _arm_cores(fields: Mapping[str, list[str]]) -> list[str]:
    pairs = zip(fields.get("CPU implementer", ()), fields.get("CPU part", ()), strict=False)
    return [_ARM_CORES.get(part, part) if maker == "0x41" else f"{maker}/{part}" for maker, part in pairs]


def _read(transport: Transport) -> dict[str, str]:
    """The texts of the files above that exist, by path, in one command."""
    paths = [*_PROC.values(), *_KERNEL.values(), _GOVERNOR]
    paths += [f"{cache}/{name}" for cache in _CACHES for name in ("level", "type", "size")]
    _, out, _ = transport.run(["grep", "-s", "-H", ".", *paths], _TIMEOUT_S)
    texts: dict[str, list[str]] = {}
    for line in out.splitlines():
        path, _, text = line.partition(":")
        texts.setdefault(path, []).append(text)
    return {path: "\n".join(lines) for path, lines in texts.items()}
