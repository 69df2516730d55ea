"""``python -m backstop``: see docs/cli.md."""

from __future__ import annotations

import gc
import sys

from backstop.cli.main import main

if __name__ == "__main__":
    # Imports make a hundred thousand objects that stay: looking through them again and again, and once more
    # at the end, took a third of a short verb's time (measured).
    gc.set_threshold(50_000, 20, 20)
    code = main()
    gc.freeze()
    sys.exit(code)
