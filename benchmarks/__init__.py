"""Timings and comparisons; every file in results/ names the command that wrote it."""
