"""`python -m mnas` is the command `mnas`."""

from __future__ import annotations

from mnas.cli import main

if __name__ == "__main__":
    main()
