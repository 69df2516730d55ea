"""
## Prepare a repository

Compares the place of a repository with what it should be, and mends it when asked: a directory is there and
open to its user alone; a bucket removes pieces of uploads that nobody finished after 7 days, and versions
that somebody has deleted or overwritten after `noncurrent` of the repository in `targets.yaml`.

Of a bucket of AWS also: versioning, no public access, and a policy that denies what no role asks for. Logs,
encryption by the service and Object Lock are named where they are missing, and left to its owner.

A bucket's rules never touch current objects of ours, and rules of others stay as they are. One that would
remove or move backups is named: its owner has to change it.

**When:** by hand, before the first backup, and whenever somebody else has worked on the bucket.

### How
1. Press *Trigger* and choose the repository. The log of `prepare` says what differs; then the task is red.
2. Press it again with *apply*. What Backstop may mend is mended, and looked at again.

### When a task is red
- **`prepare`, saying *is not what it should be*:** trigger again with *apply*. What is red then too is not
  Backstop's to change: the log says what it endangers.
- **`prepare`, saying anything else:** the place cannot be looked at, or the role may not read or set the
  bucket's settings (`include/aws/policies/preparer.json`; the connection of role `preparer`).

Without Airflow: `python -m backstop prepare-repository --repository <name>`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import DAG, Param

from backstop.notifications.runs import run_failed
from backstop.operators.check import PrepareRepositoryOperator
from backstop.operators.placement import placed
from backstop.targets import Configuration, load_targets
from backstop.wiring import every_repository

if TYPE_CHECKING:
    from collections.abc import Sequence


def define_preparation(queue: str | None, repositories: Sequence[str]) -> DAG:
    """One DAG for the repositories that the same workers can reach."""
    with DAG(
        dag_id=f"prepare_repository__{queue}" if queue else "prepare_repository",
        dag_display_name=f"Prepare a repository ({queue})" if queue else "Prepare a repository",
        description="Compare a repository's directory or bucket with what it should be; mend it",
        doc_md=__doc__,
        schedule=None,
        catchup=False,
        is_paused_upon_creation=False,
        on_failure_callback=run_failed,
        params={
            "repository": Param(repositories[0], title="Repository", type="string", enum=list(repositories)),
            "apply": Param(False, "Mend what differs.", title="Apply", type="boolean"),
        },
        default_args=placed(None, "upkeep", queue=queue),
        tags=["backstop", "setup"],
    ) as dag:
        PrepareRepositoryOperator(
            task_id="prepare", target="{{ params.repository }}", apply="{{ params.apply | tojson }}"
        )
    return dag


def _used_in(configuration: Configuration, queue: str | None) -> list[str]:
    names = [
        name
        for target in configuration.targets.values()
        if target.queue == queue
        for name in every_repository(configuration, target.name)
    ]
    return sorted(set(names))


_configuration = load_targets()
for _queue in sorted({target.queue for target in _configuration.targets.values()}, key=str):
    define_preparation(_queue, _used_in(_configuration, _queue))
