"""Runtimes that run model files on devices, and the raw samples they give back."""

from __future__ import annotations

from mnas.runtimes.nodes import NODE_COLUMNS as NODE_COLUMNS
from mnas.runtimes.runtime import COLUMNS as COLUMNS
from mnas.runtimes.runtime import Delegating as Delegating
from mnas.runtimes.runtime import Measurement as Measurement
from mnas.runtimes.runtime import NodeMeasurement as NodeMeasurement
from mnas.runtimes.runtime import NodeProfiler as NodeProfiler
from mnas.runtimes.runtime import Plan as Plan
from mnas.runtimes.runtime import ProcessPerVisit as ProcessPerVisit
from mnas.runtimes.runtime import Runtime as Runtime
from mnas.runtimes.runtime import find_runtime as find_runtime
from mnas.runtimes.runtime import process_starts as process_starts
from mnas.runtimes.runtime import runtimes as runtimes
from mnas.runtimes.runtime import time_column as time_column
from mnas.runtimes.runtime import told_delegate as told_delegate
from mnas.runtimes.runtime import visit_start_s as visit_start_s
from mnas.runtimes.samples import Conditions as Conditions
