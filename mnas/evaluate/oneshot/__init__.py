"""One-shot weight sharing: networks of a space are slices of one set of weights, which is trained once."""

from __future__ import annotations

from mnas.evaluate.oneshot.chain import Chain as Chain
from mnas.evaluate.oneshot.chain import Path as Path
from mnas.evaluate.oneshot.chain import Placed as Placed
from mnas.evaluate.oneshot.evaluator import SupernetEvaluator as SupernetEvaluator
from mnas.evaluate.oneshot.network import SharedNetwork as SharedNetwork
from mnas.evaluate.oneshot.settings import SupernetSettings as SupernetSettings
from mnas.evaluate.oneshot.training import train_supernet as train_supernet
