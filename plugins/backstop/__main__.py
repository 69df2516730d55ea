"""``python -m backstop``: see docs/cli.md."""

from __future__ import annotations

import sys

from backstop.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
