"""Memory between the layers of a network that is computed once."""

from __future__ import annotations

import ctypes
from functools import cache

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Names of settings in glibc's malloc.h."""


@cache
def keep_freed_memory() -> None:
    """Let this process keep freed memory for what it allocates next.

    One minibatch takes and frees hundreds of megabytes, layer by layer. glibc gives them back to the system, and every
    page of them comes anew by a fault. Elsewhere nothing changes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, -1)
