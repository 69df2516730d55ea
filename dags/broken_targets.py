"""
## Broken target files

Defines no DAG. Where `BACKSTOP_TARGETS` names a directory, a target file that is wrong disables its targets
alone; importing this file then fails with every mistake, so that Airflow shows them under *Import Errors*:
`file:line:column: what`. Nothing of those targets is backed up or watched until the file is correct.

Without Airflow: `python -m backstop check-targets`.
"""

from __future__ import annotations

from backstop.errors import ConfigurationError
from backstop.targets import load_targets

_broken = load_targets().broken
if _broken:
    raise ConfigurationError(
        "\n".join(one.every_reason for one in _broken),
        hint="correct it: these targets are neither backed up nor watched: "
        + (", ".join(sorted({name for one in _broken for name in one.targets})) or "none that is known"),
    )
