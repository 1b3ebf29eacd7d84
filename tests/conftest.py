"""Fixtures of the devices that tests bring along."""

from __future__ import annotations

import signal

from tests.phones.fixtures import adb as adb
from tests.phones.fixtures import adb_server as adb_server
from tests.phones.fixtures import fakephone as fakephone
from tests.phones.fixtures import no_adb as no_adb

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it, and so would commands
