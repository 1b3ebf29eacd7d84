"""Heat: nothing is measured on a hot device, and what was measured while it became hot is measured again.

A device is hot above the temperature that its description, or `mnas profile --max-temp`, allows, and while it slows
itself down for heat (Android's thermal status above 0).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from mnas.devices import Device, Heat, connect, temperature
from mnas.errors import DeviceError

T = TypeVar("T")
_POLL_S = 10.0
_LONGEST_S = 1800.0
"""Seconds after which a device that does not cool down is given up."""
_TRIES = 3
_ADVICE = (
    "take it out of its case and off the charger, switch its screen off, close its apps, let it lie in a cool place, "
    "or allow a higher --max-temp; then run the same command again: it goes on where it stopped"
)


@dataclass(frozen=True)
class Thermometer:
    """Watches the heat of a device while it is measured.

    Attributes:
        device: the device.
        read: asks how hot it is.
        sleep: waits so many seconds.
    """

    device: Device
    read: Callable[[], Heat]
    sleep: Callable[[float], None] = time.sleep

    def measured(self, measure: Callable[[], T], show: Callable[[str], None]) -> tuple[T, float]:
        """Measure while the device is cool; what was taken while it became hot is thrown away, and taken again.

        Args:
            measure: does it, the same each time.
            show: is told the temperature, or that the device cools down.

        Returns:
            What `measure` gave, and the seconds that it took then, without waiting.

        Raises:
            DeviceError: the device does not answer, does not cool down, becomes hot each time, or tells no temperature
                where one is not to be passed.
        """
        for _ in range(_TRIES):
            show(_spoken(self.cool(show), "at"))
            began = time.monotonic()
            found = measure()
            seconds = time.monotonic() - began
            heat = self.read()
            if not self.hot(heat):
                return found, seconds
        raise DeviceError(
            f"device {self.device.name!r} became hot{_spoken(heat, 'with')} in {_TRIES} measurements, one after the "
            f"other: {_ADVICE}"
        )

    def cool(self, show: Callable[[str], None]) -> Heat:
        """Wait until the device is cool, and say how hot it is then."""
        waited = 0.0
        while self.hot(heat := self.read()):
            if waited >= _LONGEST_S:
                raise DeviceError(
                    f"device {self.device.name!r} is still hot{_spoken(heat, 'with')} after {waited / 60:.0f} minutes "
                    f"without work: {_ADVICE}"
                )
            show(f", after it has cooled down{_spoken(heat, 'from')}")
            self.sleep(_POLL_S)
            waited += _POLL_S
        return heat

    def hot(self, heat: Heat) -> bool:
        """Whether nothing is to be measured at this heat."""
        limit = self.device.max_temp_c
        if limit and heat.celsius is None:
            raise DeviceError(
                f"device {self.device.name!r} tells no temperature: leave out --max-temp, and max_temp_c of its file"
            )
        return heat.throttling > 0 or (limit > 0 and heat.celsius is not None and heat.celsius > limit)


def thermometer(device: Device) -> Thermometer:
    """Watch a device; this machine is asked only if a temperature is not to be passed.

    Raises:
        DeviceError: the device does not answer.
    """
    if device.local and not device.max_temp_c:
        return Thermometer(device, Heat)
    transport = connect(device)
    return Thermometer(device, lambda: temperature(transport))


def _spoken(heat: Heat, before: str) -> str:
    """The heat for people; nothing if it is not known."""
    parts = [f"{heat.celsius:.1f} °C"] if heat.celsius is not None else []
    parts += [f"thermal status {heat.throttling}"] if heat.throttling else []
    return f" {before} {', '.join(parts)}" if parts else ""
