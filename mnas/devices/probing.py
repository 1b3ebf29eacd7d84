"""What a device says about itself: /proc and /sys, Android's properties, a board's Python, in one command."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from mnas.devices import android
from mnas.devices.asking import ask, by_path
from mnas.devices.cores import big_mask, cluster_text, cores
from mnas.devices.description import Device
from mnas.devices.heat import QUESTIONS as HEAT
from mnas.devices.heat import Heat, heat
from mnas.devices.transport import connect

WHEELS = ("ai-edge-litert", "onnxruntime", "numpy")
"""What measuring in Python needs of a board, of which one runtime is enough."""
_TIMEOUT_S = 60.0
_CPU = "/sys/devices/system/cpu"
_CACHES = [f"{_CPU}/cpu0/cache/index{i}" for i in range(6)]
_FILES = (
    "/proc/cpuinfo", "/proc/meminfo", "/proc/loadavg", "/proc/sys/kernel/ostype", "/proc/sys/kernel/osrelease",
    "/etc/os-release", f"{_CPU}/cpu*/cpufreq/cpuinfo_max_freq", f"{_CPU}/cpu*/cpufreq/scaling_governor",
    *(f"{cache}/{name}" for cache in _CACHES for name in ("level", "type", "size")),
)  # fmt: skip
_BOARD = "/proc/device-tree/model"
_VERSIONS = f"""
import sys
from importlib.metadata import PackageNotFoundError, version
print("python", sys.version.split()[0])
for wheel in {WHEELS!r}:
    try:
        print(wheel, version(wheel))
    except PackageNotFoundError:
        pass
"""


def facts(device: Device, *, before: Heat | None = None, timeout_s: float = _TIMEOUT_S) -> dict[str, str]:
    """Ask a device what it is; a fact it does not tell is empty.

    Args:
        device: the device.
        before: the temperature before something was measured, to stand beside that of now.
        timeout_s: seconds that the device may take.

    Returns:
        status ("ready"); cpu_model, machine, cores, clusters (cores by kind and frequency), big_cores (their mask,
        empty if all are alike), taskset ("yes" if it has that program), l2_kib, l3_kib, governor, memory_mib,
        load_average (of 1, 5 and 15 minutes); soc, model (of the phone or board), abi, system, release (of the kernel),
        os; emulator ("yes" if it is Android's); battery_percent, battery_c; temperature_c and throttling (as in
        `Heat`), or temperature_before_c and temperature_after_c; python and wheels ("name version, ...") of its
        interpreter.

    Raises:
        DeviceError: the device does not answer.
    """
    questions = HEAT | {
        "machine": "uname -m",
        "files": f"grep -s -H . {' '.join(_FILES)}",
        "board": f"tr -d '\\0' < {_BOARD}",
        "properties": "getprop",
        "taskset": "command -v taskset",
        "versions": ""
        if device.transport == "adb"
        else f"{shlex.quote(device.interpreter)} -c {shlex.quote(_VERSIONS)}",
    }
    answers = ask(connect(device), questions, timeout_s)
    files = by_path(answers["files"])
    cpuinfo = files.get("/proc/cpuinfo", "")
    phone = android.properties(answers["properties"])
    found = cores(cpuinfo, max_khz(files))
    caches = cache_kib(files)
    told = {
        "status": "ready",
        "cpu_model": cpu_model(cpuinfo),
        "machine": answers["machine"].strip(),
        "cores": str(len(found) or ""),
        "clusters": cluster_text(found),
        "big_cores": big_mask(found),
        "taskset": "yes" if answers["taskset"].strip() else "",
        "l2_kib": caches.get(2, ""),
        "l3_kib": caches.get(3, ""),
        "governor": governors(files),
        "memory_mib": memory_mib(files.get("/proc/meminfo", "")),
        "load_average": " ".join(files.get("/proc/loadavg", "").split()[:3]),
        "soc": android.soc(phone),
        "model": android.model(phone) or answers["board"].strip(),
        "abi": phone.get("ro.product.cpu.abi") or answers["machine"].strip(),
        "system": files.get("/proc/sys/kernel/ostype", ""),
        "release": files.get("/proc/sys/kernel/osrelease", ""),
        "os": android.system(phone) or os_name(files.get("/etc/os-release", "")),
        "emulator": "yes" if android.emulated(phone) else "",
        **android.battery(answers["battery"]),
        **versions(answers["versions"]),
    }
    now = heat(answers)
    when = {"temperature_c": now} if before is None else {"temperature_before_c": before, "temperature_after_c": now}
    return told | {key: str(value) for key, value in when.items()} | {"throttling": str(now.throttling)}


def cpu_model(cpuinfo: str) -> str:
    """The processor's name in the text of /proc/cpuinfo.

    A board or chip is named before the generic "ARMv8 Processor"; if there are only part numbers, they are read as
    "2x Cortex-X1 + 4x Cortex-A55".
    """
    fields: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    named = next((fields[key] for key in ("Model", "Hardware", "model name") if fields.get(key)), "")
    return named or cluster_text(core for core in cores(cpuinfo) if core.kind)


def memory_mib(meminfo: str) -> str:
    """Total memory in the text of /proc/meminfo, in MiB."""
    found = re.search(r"^MemTotal:\s*(\d{1,15}) kB", meminfo, re.MULTILINE | re.ASCII)
    return str(int(found[1]) // 1024) if found else ""


def os_name(release: str) -> str:
    """The system's name in the text of /etc/os-release: "Debian GNU/Linux 12 (bookworm)"."""
    found = re.search(r"^PRETTY_NAME=(.*)$", release, re.MULTILINE)
    return found[1].strip().strip("\"'") if found else ""


def versions(printed: str) -> dict[str, str]:
    """Read python and wheels from lines "NAME VERSION"; empty without an interpreter."""
    pairs = [line.split() for line in printed.splitlines()]
    known = dict(pair for pair in pairs if len(pair) == 2)
    wheels = ", ".join(f"{wheel} {known[wheel]}" for wheel in WHEELS if wheel in known)
    return {"python": known.get("python", ""), "wheels": wheels}


def max_khz(files: Mapping[str, str]) -> dict[int, int]:
    """The highest frequency of each core, from files of cpufreq by path."""
    return {core: int(text) for core, text in _per_core(files, "cpuinfo_max_freq") if re.fullmatch(r"[0-9]{1,9}", text)}


def governors(files: Mapping[str, str]) -> str:
    """What chooses the frequencies: "schedutil", or "0-3 powersave, 4-7 performance" where cores differ."""
    found = sorted(_per_core(files, "scaling_governor"))
    kinds = dict.fromkeys(name for _, name in found)
    if len(kinds) < 2:
        return "".join(kinds)
    return ", ".join(f"{_ranges([core for core, name in found if name == kind])} {kind}" for kind in kinds)


def cache_kib(files: Mapping[str, str]) -> dict[int, str]:
    """KiB of the data or unified cache of each level, from files of /sys/devices/system/cpu/cpu0/cache by path."""
    sizes: dict[int, str] = {}
    for cache in _CACHES:
        level, kind = files.get(f"{cache}/level", ""), files.get(f"{cache}/type", "")
        size = size_kib(files.get(f"{cache}/size", ""))
        if re.fullmatch(r"[0-9]", level) and kind != "Instruction" and size:
            sizes[int(level)] = size
    return sizes


def size_kib(text: str) -> str:
    """Read "512K" or "16M" as KiB; empty if it is neither."""
    found = re.fullmatch(r"([0-9]{1,9})([KM])", text)
    return str(int(found[1]) * {"K": 1, "M": 1024}[found[2]]) if found else ""


def _per_core(files: Mapping[str, str], name: str) -> list[tuple[int, str]]:
    """The texts of a file of cpufreq with the numbers of their cores."""
    pattern = re.compile(rf"{_CPU}/cpu([0-9]{{1,4}})/cpufreq/{name}")
    return [(int(found[1]), text) for path, text in files.items() if (found := pattern.fullmatch(path))]


def _ranges(numbers: list[int]) -> str:
    """Numbers in rising order as "0-3,6"."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][-1] == number - 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    return ",".join(str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in parts)
