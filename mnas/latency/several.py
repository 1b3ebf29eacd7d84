"""The same measurement on several devices at once: one thread and one table each."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import NamedTuple

from mnas.devices import Device, transports
from mnas.errors import ConfigError, MnasError
from mnas.latency.storage import table_prefix
from mnas.latency.table import LatencyTable
from mnas.progress import Progress, silent

Measure = Callable[[Device, Path, Progress], LatencyTable]
"""Measures a table on a device, into a path, and tells where it is."""


class Outcome(NamedTuple):
    """What became of one device: its table, or the error that ended its measurement."""

    device: Device
    out: Path
    table: LatencyTable | None
    error: MnasError | None


def beside(prefix: Path | str, device: Device) -> Path:
    """The path of one device's table where several share a prefix.

    Raises:
        ConfigError: `prefix` names no file.
    """
    path = table_prefix(prefix)
    return path.with_name(f"{path.name}-{device.name}")


def side_by_side(
    devices: Sequence[Device], outs: Sequence[Path], measure: Measure, progress: Progress | None = None
) -> list[Outcome]:
    """Measure on several devices at once; one that fails does not stop the others.

    An interrupt lets every device finish the process in hand, which is then kept.

    Args:
        devices: the devices.
        outs: where the table of each is written.
        measure: what is done on each.
        progress: is told the sum over devices, and which device says what.

    Returns:
        One outcome per device, in order.

    Raises:
        ConfigError: two of them are the same machine, so that they would disturb each other.
        UnknownNameError: an unknown transport.
    """
    _check_apart(devices)
    told = _Told(progress or silent, [device.name for device in devices])
    with ThreadPoolExecutor(len(devices), "mnas-device") as pool:
        pairs = list(zip(devices, outs, strict=True))
        running = [pool.submit(_outcome, device, out, measure, told) for device, out in pairs]
        try:
            wait(running)
        except BaseException:
            told.stopped.set()
            raise
        return [future.result() for future in running]


def _check_apart(devices: Sequence[Device]) -> None:
    for device in devices:
        transports[device.transport]  # loads it here, once, and not in every thread
    names = Counter(device.name for device in devices)
    places = Counter((device.transport, device.address) for device in devices)
    for device in devices:
        if names[device.name] > 1 or places[device.transport, device.address] > 1:
            where = device.address or "this machine"
            place = (device.transport, device.address)
            same = [each.name for each in devices if (each.transport, each.address) == place]
            raise ConfigError(
                f"devices {' and '.join(same)} are one machine ({device.transport}, {where}): measuring on both at "
                "once would disturb both; measure them one after the other"
            )


def _outcome(device: Device, out: Path, measure: Measure, told: _Told) -> Outcome:
    try:
        return Outcome(device, out, measure(device, out, told.of(device.name)), None)
    except MnasError as error:
        return Outcome(device, out, None, error)


class _Told:
    """Adds up what several devices tell.

    Args:
        show: is told the sum.
        names: of the devices.
    """

    def __init__(self, show: Progress, names: Sequence[str]) -> None:
        self._show, self._lock = show, threading.Lock()
        self._done = dict.fromkeys(names, (0, 0))
        self.stopped = threading.Event()

    def of(self, name: str) -> Progress:
        """What one device is given; it interrupts the device's thread once `stopped` is set."""

        def show(done: int, total: int, note: str) -> None:
            if self.stopped.is_set():
                raise KeyboardInterrupt
            with self._lock:
                self._done[name] = (done, total)
                finished, units = (sum(counts) for counts in zip(*self._done.values(), strict=True))
                self._show(finished, units, f"{name}: {note}")

        return show
