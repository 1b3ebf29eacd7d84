"""What Android says about itself: the texts of getprop and dumpsys."""

from __future__ import annotations

import re
from collections.abc import Mapping

_PROPERTY = re.compile(r"^\[([^\]]+)\]: \[(.*)\]$", re.MULTILINE)
_TEMPERATURE = re.compile(r"Temperature\{mValue=([-+.\w]+), mType=(-?\d{1,4}),")
_CURRENT = "Current temperatures from HAL:"
_CPU, _SKIN = 0, 3
"""Types of `android.os.Temperature`."""


def properties(getprop: str) -> dict[str, str]:
    """The properties in the output of `getprop`."""
    return {key: value.strip() for key, value in _PROPERTY.findall(getprop)}


def model(found: Mapping[str, str]) -> str:
    """Maker and model: "Google Pixel 6"."""
    name = found.get("ro.product.model", "")
    maker = found.get("ro.product.manufacturer", "")
    maker = maker if maker[1:2].isupper() else maker.capitalize()
    return name if name.lower().startswith(maker.lower()) else f"{maker} {name}".strip()


def soc(found: Mapping[str, str]) -> str:
    """The system on chip: "Google Tensor", "Qualcomm SM8150"; before Android 12 only the board's platform."""
    if number := found.get("ro.soc.model", ""):
        return f"{found.get('ro.soc.manufacturer', '')} {number}".strip()
    names = (found.get(key, "") for key in ("ro.board.platform", "ro.chipname", "ro.hardware"))
    return next(filter(None, names), "")


def system(found: Mapping[str, str]) -> str:
    """The version: "Android 13 (API 33)"."""
    release, api = found.get("ro.build.version.release", ""), found.get("ro.build.version.sdk", "")
    if not (release or api):
        return ""
    return " ".join(filter(None, ("Android", release, f"(API {api})" if api else "")))


def emulated(found: Mapping[str, str]) -> bool:
    """Whether this is the emulator of Android's developer tools, whose processor is another computer's."""
    return "1" in (found.get("ro.kernel.qemu"), found.get("ro.boot.qemu"))


def battery(dumpsys: str) -> dict[str, str]:
    """The text of `dumpsys battery`: battery_percent and battery_c (it is told in tenths of a degree); empty if not."""
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in dumpsys.splitlines())}
    level, scale, tenths = (_number(told.get(key, "")) for key in ("level", "scale", "temperature"))
    return {
        "battery_percent": f"{100 * level / scale:.0f}" if level is not None and scale else "",
        "battery_c": f"{tenths / 10:.1f}" if tenths is not None else "",
    }


def thermal_status(dumpsys: str) -> int:
    """The throttling in the text of `dumpsys thermalservice`: 0 none, 1 light ... 6 shutdown; 0 if it is not told."""
    found = re.search(r"^\s*Thermal Status: (\d{1,3})\s*$", dumpsys, re.MULTILINE)
    return int(found[1]) if found else 0


def thermal_celsius(dumpsys: str) -> float | None:
    """The hottest processor in the text of `dumpsys thermalservice`, else the skin; None if neither is told.

    What the hardware layer says now counts before what the service remembers.
    """
    _, _, current = dumpsys.partition(_CURRENT)
    for text in (current, dumpsys):
        found = [(_number(value), int(kind)) for value, kind in _TEMPERATURE.findall(text)]
        for wanted in (_CPU, _SKIN):
            degrees = [value for value, kind in found if kind == wanted and value is not None and 0 < value < 150]
            if degrees:
                return max(degrees)
    return None


def _number(text: str) -> float | None:
    """A plain number; nothing for "NaN", "inf" and other words."""
    return float(text) if re.fullmatch(r"-?\d{1,9}(\.\d{1,9})?", text, re.ASCII) else None
