"""TensorFlow Lite's `benchmark_model`: what file it is, how it is run on a device, and what it prints."""

from __future__ import annotations
