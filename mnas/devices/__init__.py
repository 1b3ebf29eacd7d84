"""Devices: what they are, how to reach them, what they say about themselves."""

from __future__ import annotations

from mnas.devices.adding import add_device as add_device
from mnas.devices.adding import name_of as name_of
from mnas.devices.adding import only_phone as only_phone
from mnas.devices.description import Device as Device
from mnas.devices.description import device as device
from mnas.devices.description import device_names as device_names
from mnas.devices.heat import Heat as Heat
from mnas.devices.heat import temperature as temperature
from mnas.devices.probing import facts as facts
from mnas.devices.surveying import Seen as Seen
from mnas.devices.surveying import readiness as readiness
from mnas.devices.surveying import survey as survey
from mnas.devices.transport import Transport as Transport
from mnas.devices.transport import connect as connect
from mnas.devices.transport import transports as transports
from mnas.devices.workfolder import work_folder as work_folder
