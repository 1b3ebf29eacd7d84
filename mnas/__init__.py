"""Hardware-aware mobile neural architecture search."""
