"""Devices: what they are, how to reach them, what they say about themselves."""

from __future__ import annotations

from mnas.devices.description import Device as Device
from mnas.devices.description import device as device
from mnas.devices.description import devices as devices
from mnas.devices.probing import facts as facts
from mnas.devices.transport import Transport as Transport
from mnas.devices.transport import connect as connect
from mnas.devices.transport import transports as transports
