"""Latency: measured tables, what they predict, and whether to believe them."""

from __future__ import annotations

from mnas.latency.anchors import AnchorRatio as AnchorRatio
from mnas.latency.anchors import anchor_ratio as anchor_ratio
from mnas.latency.benching import BenchResult as BenchResult
from mnas.latency.benching import bench as bench
from mnas.latency.calibration import Calibration as Calibration
from mnas.latency.calibration import calibrate as calibrate
from mnas.latency.choosing import choose as choose
from mnas.latency.choosing import choose_next as choose_next
from mnas.latency.comparing import Comparison as Comparison
from mnas.latency.comparing import compare as compare
from mnas.latency.examining import Finding as Finding
from mnas.latency.examining import examine as examine
from mnas.latency.fewshot import Estimates as Estimates
from mnas.latency.fewshot import transfer as transfer
from mnas.latency.filter import Remeasurement as Remeasurement
from mnas.latency.filter import estimate as estimate
from mnas.latency.filter import filtered as filtered
from mnas.latency.filter import halves as halves
from mnas.latency.filter import split_half as split_half
from mnas.latency.filter import visits as visits
from mnas.latency.foreign import priced_as as priced_as
from mnas.latency.importing import Imported as Imported
from mnas.latency.importing import import_table as import_table
from mnas.latency.merging import Merged as Merged
from mnas.latency.merging import merge as merge
from mnas.latency.predictor import Estimate as Estimate
from mnas.latency.predictor import LatencyModel as LatencyModel
from mnas.latency.profiling import default_out as default_out
from mnas.latency.profiling import profile as profile
from mnas.latency.profiling import report as report
from mnas.latency.profiling import rows_to_measure as rows_to_measure
from mnas.latency.storage import check_free as check_free
from mnas.latency.storage import load_table as load_table
from mnas.latency.storage import own_tables as own_tables
from mnas.latency.storage import save_table as save_table
from mnas.latency.storage import shipped_tables as shipped_tables
from mnas.latency.table import LatencyTable as LatencyTable
from mnas.latency.table import MeasuredNetwork as MeasuredNetwork
from mnas.latency.table import Row as Row
from mnas.latency.validation import Check as Check
from mnas.latency.validation import check as check
from mnas.latency.validation import judge as judge
