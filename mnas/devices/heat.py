"""How hot a device is, and whether it slows down for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from mnas.devices.android import battery, thermal_celsius, thermal_status
from mnas.devices.asking import ask, by_path
from mnas.devices.transport import Transport

QUESTIONS = {
    "zones": "grep -s -H . /sys/class/thermal/thermal_zone*/type /sys/class/thermal/thermal_zone*/temp",
    "thermal": "dumpsys thermalservice",
    "battery": "dumpsys battery",
}
"""What `heat` wants to know, as `ask` takes it."""
_PROCESSOR = re.compile(r"cpu|soc[-_]therm|core|pkg|cluster|^(big|mid|little)$", re.IGNORECASE)
"""Zones in a processor; "soc" alone is the state of charge on some phones."""
_NEAR = re.compile(r"^(?!.*(bat|charg|usb|soc|pmic|gpu)).*", re.IGNORECASE)
_TIMEOUT_S = 30.0


class Heat(NamedTuple):
    """A temperature.

    Attributes:
        celsius: degrees of the hottest core, or of what is nearest to it; None if nothing tells it.
        throttling: Android's thermal status, 0 (none) to 6 (shutdown); 0 where nothing tells it.
    """

    celsius: float | None = None
    throttling: int = 0

    def __str__(self) -> str:
        return "" if self.celsius is None else f"{self.celsius:.1f}"


def temperature(transport: Transport, timeout_s: float = _TIMEOUT_S) -> Heat:
    """Ask a device how hot it is.

    Raises:
        DeviceError: it does not answer.
    """
    return heat(ask(transport, QUESTIONS, timeout_s))


def heat(answers: Mapping[str, str]) -> Heat:
    """Read the answers to `QUESTIONS`: Android's thermal service, else thermal zones, else the battery."""
    service = answers["thermal"]
    degrees = thermal_celsius(service)
    if degrees is None:
        degrees = zone_celsius(by_path(answers["zones"]))
    if degrees is None and (told := battery(answers["battery"])["battery_c"]):
        degrees = float(told)
    return Heat(degrees, thermal_status(service))


def zone_celsius(files: Mapping[str, str]) -> float | None:
    """The hottest zone of the processor among files of /sys/class/thermal by path, else of the board; None if none."""
    zones = [
        (files.get(f"{path.removesuffix('/temp')}/type", ""), _celsius(text))
        for path, text in files.items()
        if path.endswith("/temp")
    ]
    for place in (_PROCESSOR, _NEAR):
        degrees = [value for kind, value in zones if value is not None and place.search(kind)]
        if degrees:
            return max(degrees)
    return None


def _celsius(text: str) -> float | None:
    """Read thousandths of a degree, as the kernel defines them, or whole degrees, as old phones write."""
    if not re.fullmatch(r"\d{1,6}", text, re.ASCII):
        return None
    degrees = int(text) / 1000 if len(text) > 3 else float(text)
    return degrees if 0 < degrees < 150 else None
