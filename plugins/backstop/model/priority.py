"""Who goes first when there are fewer free places than tasks: Airflow's ``priority_weight``.

What brings something back goes before everything else, then what looks whether all is well, then backups by
what may be lost meanwhile, then upkeep. The figures only have to be in this order: with Airflow's
``weight_rule: absolute`` nothing is added to them.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

Urgency = Literal["restore", "watch", "backup", "upkeep"]

_RESTORE = 10_000
_WATCH = 9_000
_BACKUP = (100, 5_000)
_UPKEEP = (1, 50)
_HALFWAY = timedelta(hours=1)
"""With this objective, half-way between the least and the most."""


def priority_weight(urgency: Urgency, rpo: timedelta | None = None) -> int:
    """Larger is sooner.

    :param rpo: how much work may be lost; the shorter, the heavier. None: nobody said, the least of its kind.
    """
    if urgency == "restore":
        return _RESTORE
    if urgency == "watch":
        return _WATCH
    least, most = _BACKUP if urgency == "backup" else _UPKEEP
    if rpo is None:
        return least
    return least + round((most - least) / (1 + rpo / _HALFWAY))
