"""
## Hold backups

Keeps a backup from expiring, whatever retention says, for a reason that stands with it: an audit, a lawsuit,
the state before a migration. What a restore of it needs stays, too. A hold ends at the time it names, or when
it is released.

### How
1. Press *Trigger* and choose the target.
2. **Place:** name the backup's label (as `python -m backstop list`, the inventory or the run that made it
   shows) and the reason; **Until** is a time with its zone, or empty. Your login stands with the hold.
3. **Release:** name the label, and the number where the backup has several holds. It runs where backups are
   verified, since a release is signed with the key of proofs.
4. **List:** the log of `hold` has the table. Any of the three ends with it.

A hold is placed in every repository that has the backup; `hold` fails, by name, when one could not be
reached. Those that were reached hold it.

### When a task is red
- **`hold`, saying that there is no backup of that label:** look at the list again; what has expired is gone.
- **`hold`, saying that expiry of it had begun:** trigger `expire_backups__<target>`, then look. It has
  stayed, or was gone already.
- **`hold`, naming a repository:** it did not answer. Once it does, place or release the hold again: what was
  done elsewhere stays as it is.
- **`index_inventory`:** as in `back_up_database`; holds themselves are in the repositories.

Without Airflow: `python -m backstop hold`, `release-hold` and `holds`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import DAG, Param

from backstop.notifications.runs import run_failed
from backstop.operators.holds import ACTIONS, HoldBackupsOperator
from backstop.operators.inventory import IndexInventoryOperator
from backstop.operators.placement import placed
from backstop.operators.roles import roles_for
from backstop.targets import Target, load_targets

if TYPE_CHECKING:
    from collections.abc import Sequence

TARGET = "{{ params.target }}"


def define_holds(queue: str | None, targets: Sequence[Target]) -> DAG:
    """One DAG for the targets whose keys the same workers have."""
    names = sorted(target.name for target in targets)
    optional = ["string", "null"]
    with DAG(
        dag_id=f"hold_backups__{queue}" if queue else "hold_backups",
        dag_display_name=f"Hold backups ({queue})" if queue else "Hold backups",
        description="Place and release holds, list them",
        doc_md=__doc__,
        schedule=None,
        catchup=False,
        is_paused_upon_creation=False,
        on_failure_callback=run_failed,
        params={
            "target": Param(names[0], title="Target", type="string", enum=names),
            "action": Param(
                "place", title="What to do", type="string", enum=list(ACTIONS), values_display=ACTIONS
            ),
            "label": Param(
                "", "Such as 20261123T010000Z-dump; to list, empty: all.", title="Backup", type=optional
            ),
            "reason": Param("", "Why it must stay; shown with the backup.", title="Reason", type=optional),
            "until": Param(
                "",
                "A time with its zone, 2027-01-31T00:00:00Z. Empty: until it is released.",
                title="Until",
                type=optional,
            ),
            "number": Param(
                None,
                "Of the hold to release, where the backup has several.",
                title="Number",
                type=["integer", "null"],
                minimum=1,
            ),
        },
        default_args=placed(None, "restore", queue=queue),
        access_control=roles_for("expire", targets),
        tags=["backstop", "expiry", *names],
    ) as dag:
        hold = HoldBackupsOperator(
            task_id="hold",
            target=TARGET,
            action="{{ params.action }}",
            backup_label="{{ params.label or '' }}",
            reason="{{ params.reason or '' }}",
            until="{{ params.until or '' }}",
            number="{{ params.number | tojson }}",
            retries=2,
            retry_delay=timedelta(seconds=30),
        )
        index = IndexInventoryOperator(task_id="index_inventory", target=TARGET, retries=2)
        hold >> index
    return dag


_targets = list(load_targets().targets.values())
for _queue in sorted({target.queue for target in _targets}, key=str):
    define_holds(_queue, [target for target in _targets if target.queue == _queue])
