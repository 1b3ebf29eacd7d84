"""Cores of a processor: their kinds, their clusters, and which of them are the big ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

_NAMES = {
    "0x41/0xc07": "Cortex-A7", "0x41/0xc09": "Cortex-A9", "0x41/0xd04": "Cortex-A35", "0x41/0xd03": "Cortex-A53",
    "0x51/0x801": "Kryo-2xx-Silver", "0x41/0xd05": "Cortex-A55", "0x51/0x803": "Kryo-3xx-Silver",
    "0x51/0x805": "Kryo-4xx-Silver", "0x41/0xd46": "Cortex-A510", "0x41/0xd80": "Cortex-A520",
    "0x41/0xc0d": "Cortex-A17", "0x41/0xc0f": "Cortex-A15", "0x41/0xd07": "Cortex-A57", "0x51/0x201": "Kryo",
    "0x51/0x205": "Kryo", "0x51/0x211": "Kryo", "0x41/0xd08": "Cortex-A72", "0x53/0x001": "Exynos-M1",
    "0x4e/0x003": "Denver2", "0x41/0xd09": "Cortex-A73", "0x51/0x800": "Kryo-2xx-Gold", "0x48/0xd01": "TaiShan-v110",
    "0x41/0xd0a": "Cortex-A75", "0x51/0x802": "Kryo-3xx-Gold", "0x4e/0x004": "Carmel", "0x53/0x002": "Exynos-M3",
    "0x41/0xd0b": "Cortex-A76", "0x48/0xd40": "Cortex-A76", "0x51/0x804": "Kryo-4xx-Gold", "0x41/0xd0c": "Neoverse-N1",
    "0x53/0x003": "Exynos-M4", "0x53/0x004": "Exynos-M5", "0x41/0xd0d": "Cortex-A77", "0x41/0xd41": "Cortex-A78",
    "0x41/0xd4b": "Cortex-A78C", "0x41/0xd42": "Cortex-A78AE", "0x41/0xd47": "Cortex-A710", "0x41/0xd49": "Neoverse-N2",
    "0x41/0xd4d": "Cortex-A715", "0x41/0xd81": "Cortex-A720", "0x41/0xd87": "Cortex-A725", "0x41/0xd40": "Neoverse-V1",
    "0x41/0xd44": "Cortex-X1", "0x41/0xd4c": "Cortex-X1C", "0x41/0xd48": "Cortex-X2", "0x41/0xd4e": "Cortex-X3",
    "0x41/0xd82": "Cortex-X4", "0x41/0xd85": "Cortex-X925", "0x51/0x001": "Oryon",
}  # fmt: skip
"""Names by implementer and part number (MIDR_EL1), from Arm's manuals and `lscpu` of util-linux; slow ones first."""
_RANK = {kind: rank for rank, kind in enumerate(_NAMES)}


class Core(NamedTuple):
    """One core.

    Attributes:
        number: the system's number for it.
        kind: `maker/part` as in /proc/cpuinfo; empty where it has none, as on x86.
        max_khz: the highest frequency it may run at; 0 if unknown.
    """

    number: int
    kind: str = ""
    max_khz: int = 0

    @property
    def name(self) -> str:
        """What its maker calls it; the numbers if we do not know."""
        return _NAMES.get(self.kind, self.kind)


def cores(cpuinfo: str, max_khz: Mapping[int, int] | None = None) -> list[Core]:
    """The cores in the text of /proc/cpuinfo, in order of their numbers.

    Old ARM kernels name the part once, behind all cores: it is then that of every core.

    Args:
        cpuinfo: the text.
        max_khz: highest frequencies by number of the core, from cpufreq.
    """
    found: dict[int, dict[str, str]] = {}
    last: dict[str, str] = {}
    number = -1
    for line in cpuinfo.splitlines():
        key, _, value = (part.strip() for part in line.partition(":"))
        if key == "processor" and value.isdecimal():
            number = int(value)
            found[number] = {}
        elif key in ("CPU implementer", "CPU part"):
            last[key] = value
            found.get(number, {})[key] = value
    khz = max_khz or {}
    return [Core(n, _kind(own if "CPU part" in own else last), khz.get(n, 0)) for n, own in sorted(found.items())]


def cluster_text(found: Iterable[Core]) -> str:
    """The cores by kind and frequency, fast ones first: "2x Cortex-X1 2.80 GHz + 4x Cortex-A55 1.80 GHz"."""
    groups = Counter((_speed(core), core.name, core.max_khz) for core in found)
    return " + ".join(
        (f"{n}x {name}" if name else f"{n} cores") + (f" {khz / 1e6:.2f} GHz" if khz else "")
        for (_, name, khz), n in sorted(groups.items(), reverse=True)
    )


def big_cores(found: Iterable[Core]) -> list[int]:
    """Numbers of the cores with the largest frequency, and of the fastest kind among those."""
    ranked = [(_speed(core), core.number) for core in found]
    best = max((speed for speed, _ in ranked), default=None)
    return [number for speed, number in ranked if speed == best]


def mask(numbers: Iterable[int]) -> str:
    """The hexadecimal mask of cores, as `taskset` reads it: cores 4 to 7 are "f0"; empty for none."""
    bits = sum(1 << number for number in set(numbers))
    return f"{bits:x}" if bits else ""


def big_mask(found: Iterable[Core]) -> str:
    """The mask of the big cores; empty where all cores are alike, so that there is nothing to choose."""
    known = list(found)
    big = big_cores(known)
    return mask(big) if len(big) < len(known) else ""


def _kind(part: Mapping[str, str]) -> str:
    maker, number = part.get("CPU implementer", ""), part.get("CPU part", "")
    return f"{maker}/{number}" if maker and number else ""


def _speed(core: Core) -> tuple[int, int]:
    return core.max_khz, _RANK.get(core.kind, -1)
