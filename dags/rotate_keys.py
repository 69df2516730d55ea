"""
## Rotate keys

Looks daily at every key that new backups are wrapped with. A key of AWS KMS is set to rotate by itself
every 90 days, where it does not yet. A key ring gets a new key when its newest is 90 days old. Old keys stay:
whatever they wrapped is opened by them until it has expired.

**When:** daily after 04:00 UTC; at once when a key may have become known to somebody (what is stored stays
readable with the old key).

### How
1. Press *Trigger*; choose *At once* for new key material whether it is due or not.
2. After a new key of a ring: copy the ring to every machine that uses it, and renew its copy in the safe.

### When a task is red
- **`rotate`, saying *its copy is made by hand*:** a new key would exist on that machine alone. Run
  `python -m backstop rotate-keys --now` there, renew the copy, and write its day into `keys` of
  `targets.yaml`.
- **`rotate`, saying *is disabled* or *pending deletion*:** what the key wrapped cannot be read. Enable it.
- **`rotate`, naming a permission:** `connections.administer` of the keys needs `kms:DescribeKey`,
  `kms:GetKeyRotationStatus`, `kms:EnableKeyRotation`, and `kms:RotateKeyOnDemand` for *At once*.

Without Airflow: `python -m backstop rotate-keys --keys <name>`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import DAG, CronTriggerTimetable, Param

from backstop.model.stagger import settle
from backstop.notifications.runs import run_failed
from backstop.operators.keys import RotateKeysOperator
from backstop.operators.placement import placed
from backstop.operators.roles import roles_for
from backstop.targets import load_targets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstop.targets import Target


def define_rotation(keys: str, targets: Sequence[Target]) -> DAG:
    """One DAG for one entry of ``keys``, on workers that have it."""
    queue = targets[0].queue
    with DAG(
        dag_id=f"rotate_keys__{keys}",
        dag_display_name=f"Rotate keys: {keys}",
        description="A new key every 90 days; old ones stay while something needs them",
        doc_md=__doc__,
        schedule=CronTriggerTimetable(
            settle("H 4 * * *", name=keys, procedure="rotate_keys"), timezone="UTC"
        ),
        catchup=False,
        is_paused_upon_creation=False,
        max_active_runs=1,
        on_failure_callback=run_failed,
        params={
            "now": Param(False, "Whether it is due or not.", title="At once", type="boolean"),
        },
        default_args=placed(None, "upkeep", queue=queue),
        access_control=roles_for("keys", targets),
        tags=["backstop", "keys", *(target.name for target in targets)],
    ) as dag:
        RotateKeysOperator(task_id="rotate", target=keys, at_once="{{ params.now | tojson }}")
    return dag


_configuration = load_targets()
for _name in _configuration.keys:
    _users = [one for one in _configuration.targets.values() if one.keys == _name]
    if _users:
        define_rotation(_name, _users)
