"""Prints docs/dags.md from the DAGs themselves: ``python scripts/document_dags.py > docs/dags.md``.

``tests/dags/test_documentation.py`` fails when the page has drifted from the code.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow.sdk import DAG

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / "plugins"))
HEADING = """\
# The DAGs

Made by `python scripts/document_dags.py > docs/dags.md` from `dags/` and the example `dags/targets.yaml`; a
test fails when this page has drifted. Each DAG shows its own section of this page in Airflow's UI.

A file is a procedure. Scheduled ones become one DAG a target, `<file>__<target>` (for files: one a tree,
`<file>__<target>__<tree>`); those that people start are one DAG with the target as a parameter (and, where
`targets.yaml` pins targets to a worker `queue`, one more for each queue, `<file>__<queue>`).
"""


def page() -> str:
    """The text of docs/dags.md."""
    by_file: dict[str, list[DAG]] = {}
    for dag in _dags():
        by_file.setdefault(dag.fileloc, []).append(dag)
    return "\n".join([HEADING, *(_section(dags) for dags in by_file.values())])


def _dags() -> list[DAG]:
    # The example configuration, whatever the caller's environment says.
    os.environ["BACKSTOP_TARGETS"] = str(CHECKOUT / "dags" / "targets.yaml")
    with contextlib.redirect_stdout(io.StringIO()):
        from airflow.dag_processing.dagbag import DagBag

        bag = DagBag(CHECKOUT / "dags")
    if bag.import_errors:
        raise SystemExit("\n".join(bag.import_errors.values()))
    return sorted(bag.dags.values(), key=lambda dag: (dag.fileloc, dag.dag_id))


def _section(dags: list[DAG]) -> str:
    """Of one file: its DAGs differ in whom and when."""
    dag = dags[0]
    file = Path(dag.fileloc).relative_to(CHECKOUT)
    lines = [f"## {', '.join(f'`{one.dag_id}`' for one in dags)}", ""]
    for one in dags:
        lines += [f"`{one.dag_id if len(dags) > 1 else file}` · {_when(one)}", ""]
    lines += [*_nested(dag.doc_md or ""), ""]
    if dag.params:
        lines += ["### Parameters", "", "| | default | |", "|---|---|---|"]
        for name in dag.params:
            param = dag.params.get_param(name)
            lines.append(f"| `{name}` | `{param.value!r}` | {param.description or ''} |")
        lines.append("")
    lines += ["### Tasks", "", "| | retries | | after |", "|---|---|---|---|"]
    for task in dag.topological_sort():
        lines.append(
            f"| `{task.task_id}`{_role(task)} | {task.retries or 0} | {_purpose(task)} | "
            f"{', '.join(f'`{name}`' for name in sorted(task.upstream_task_ids))} |"
        )
    return "\n".join([*lines, ""])


def _when(dag: DAG) -> str:
    from airflow.sdk import AssetOrTimeSchedule

    if dag.schedule is None:
        return "started by hand"
    if isinstance(dag.schedule, list):
        return "woken by " + ", ".join(f"*{asset.name}*" for asset in dag.schedule)
    if isinstance(dag.schedule, AssetOrTimeSchedule):
        cron, assets = dag.schedule.timetable, dag.schedule.asset_condition.objects
        woken = " or ".join(f"*{asset.name}*" for asset in assets)
        return f"schedule `{cron.expression}` UTC, and woken by {woken}"
    if dag.schedule == "@continuous":
        return "always running"
    if hasattr(dag.schedule, "timetables"):
        crons = " and ".join(f"`{one.expression}`" for one in dag.schedule.timetables)
        return f"schedule {crons} UTC"
    if hasattr(dag.schedule, "expression"):
        return f"schedule `{dag.schedule.expression}` UTC"
    return "woken by " + " or ".join(f"*{asset.name}*" for asset in dag.schedule.objects)


def _nested(markdown: str) -> Iterable[str]:
    """The runbook below our own heading: its title becomes a line in bold."""
    for line in markdown.strip().splitlines():
        yield f"**{line[3:]}**" if line.startswith("## ") else line


def _role(task: object) -> str:
    roles = {"is_setup": " (setup)", "is_teardown": " (teardown)"}
    return "".join(text for attribute, text in roles.items() if getattr(task, attribute, False))


def _purpose(task: object) -> str:
    """The first sentence of the operator's documentation."""
    operator = getattr(task, "operator_class", type(task))
    return " ".join((operator.__doc__ or "").strip().split("\n\n")[0].split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(page())
