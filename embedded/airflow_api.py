"""Airflow's REST API, as far as the demo and the tests drive it: trigger, wait, answer, read results."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from embedded.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

ENDED = ("success", "failed")
_PATIENCE = 4
"""How often Airflow is asked, half a minute each time."""


@dataclass(frozen=True)
class Run:
    """One DAG run."""

    dag_id: str
    run_id: str

    @property
    def path(self) -> str:
        return f"/api/v2/dags/{_quoted(self.dag_id)}/dagRuns/{_quoted(self.run_id)}"


@dataclass
class AirflowApi:
    """Signed in as one user.

    :param sign_in: returns a token; asked again when it has expired.
    :param note: told what people should know while they wait.
    """

    url: str
    sign_in: Callable[[], str] = field(repr=False)
    note: Callable[[str], None] = lambda _text: None
    _token: str = field(default="", repr=False)

    def wait_for_dag(self, dag_id: str, *, timeout: float = 300.0) -> None:
        """Until Airflow has read the DAG. :raises StackError: it cannot be imported, or time is up."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                if not self.get(f"/api/v2/dags/{_quoted(dag_id)}")["is_stale"]:
                    return
            except urllib.error.HTTPError as error:
                if error.code != 404:
                    raise
            errors = self.get("/api/v2/importErrors")["import_errors"]
            if errors:
                said = "\n".join(f"{one['filename']}: {_last_line(one['stack_trace'])}" for one in errors)
                raise StackError(
                    f"Airflow cannot import a DAG file: {said}", hint="mend it, then run this again"
                )
            if time.monotonic() > deadline:
                raise StackError(
                    f"Airflow has not read DAG {dag_id} in {timeout:.0f} s",
                    hint="is the target of that name in targets.yaml? See the DAG processor's log",
                )
            time.sleep(1)

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> Run:
        body = {"logical_date": None, "conf": dict(conf or {})}
        answer = self.send("POST", f"/api/v2/dags/{_quoted(dag_id)}/dagRuns", body)
        return Run(dag_id, answer["dag_run_id"])

    def runs(self, dag_id: str) -> list[Run]:
        """Newest first, a hundred at most."""
        answer = self.get(f"/api/v2/dags/{_quoted(dag_id)}/dagRuns?order_by=-run_after&limit=100")
        return [Run(dag_id, one["dag_run_id"]) for one in answer["dag_runs"]]

    def state(self, run: Run) -> str:
        return str(self.get(run.path)["state"])

    def tasks(self, run: Run) -> list[dict[str, Any]]:
        return list(self.get(f"{run.path}/taskInstances?limit=200")["task_instances"])

    def wait(self, run: Run, *, timeout: float = 600.0) -> str:
        """The state in which the run ended. :raises StackError: time is up."""
        deadline = time.monotonic() + timeout
        told: set[tuple[str, int]] = set()
        while (state := self.state(run)) not in ENDED:
            self._tell_retries(run, told)
            if time.monotonic() > deadline:
                raise StackError(
                    f"run {run.run_id} of {run.dag_id} has not ended in {timeout:.0f} s",
                    hint=f"look at it: {self.url}/dags/{run.dag_id}/runs/{run.run_id}",
                )
            time.sleep(0.5)
        return state

    def _tell_retries(self, run: Run, told: set[tuple[str, int]]) -> None:
        for task in self.tasks(run):
            attempt = (task["task_id"], task["try_number"])
            if task["state"] == "up_for_retry" and attempt not in told:
                told.add(attempt)
                self.note(f"{task['task_id']} will be tried again: {self.last_error(run, task)}")

    def require_success(self, run: Run, *, timeout: float = 600.0) -> None:
        """:raises StackError: the run failed; says which tasks, and what they said last."""
        if self.wait(run, timeout=timeout) != "success":
            raise StackError(
                f"run {run.run_id} of {run.dag_id} failed: " + self.why(run),
                hint=f"look at it: {self.url}/dags/{run.dag_id}/runs/{run.run_id}",
            )

    def failures(self, run: Run) -> list[str]:
        """One sentence for each failed task, with the last error in its log."""
        return [
            f"{task['task_id']}: {self.last_error(run, task)}"
            for task in self.tasks(run)
            if task["state"] == "failed"
        ]

    def why(self, run: Run) -> str:
        """Why it is not green: :meth:`failures`, whole and in one line."""
        return "; ".join(self.failures(run)) or "no task failed"

    def last_error(self, run: Run, task: Mapping[str, Any]) -> str:
        """The last error in the log of a task's last try."""
        try:
            lines = self.log(run, task)
        except OSError as error:
            return f"its log cannot be read ({error})"
        return _said_last(lines)

    def question(self, run: Run, task_id: str, *, timeout: float = 180.0) -> dict[str, Any]:
        """What a task asks people, as soon as it asks. :raises StackError: it ended, or time is up."""
        deadline = time.monotonic() + timeout
        while True:
            task = next((one for one in self.tasks(run) if one["task_id"] == task_id), None)
            if task and task["state"] == "awaiting_input":
                self._let_the_scheduler_notice()
                return self.get(f"{run.path}/taskInstances/{task_id}/-1/hitlDetails")
            state = self.state(run)
            if state in ENDED or time.monotonic() > deadline:
                raise StackError(
                    f"{task_id} of {run.dag_id} asks nothing; the run is {state}: " + self.why(run),
                    hint=f"look at it: {self.url}/dags/{run.dag_id}/runs/{run.run_id}",
                )
            time.sleep(0.5)

    def _let_the_scheduler_notice(self) -> None:
        """An answer within a second or two makes Airflow 3.3 fail the task.

        The scheduler learns that the asking process has ended after the task has been resumed, and takes that
        for a crash (apache/airflow#67287, #72716). A person is never that quick.
        """
        since = datetime.now(timezone.utc) + timedelta(seconds=1)
        for _ in range(60):
            beat = self.get("/api/v2/monitor/health")["scheduler"]["latest_scheduler_heartbeat"]
            if beat and datetime.fromisoformat(beat.replace("Z", "+00:00")) > since:
                return
            time.sleep(0.5)

    def answer(self, run: Run, task_id: str, option: str, params: Mapping[str, Any] | None = None) -> None:
        self.send(
            "PATCH",
            f"{run.path}/taskInstances/{task_id}/-1/hitlDetails",
            {"chosen_options": [option], "params_input": dict(params or {})},
        )

    def clear(self, run: Run, *task_ids: str) -> None:
        """Have tasks done again, and all behind them, as *Clear* does in the UI."""
        asked = {"dag_run_id": run.run_id, "task_ids": list(task_ids), "include_downstream": True}
        body = {**asked, "dry_run": False, "only_failed": False, "reset_dag_runs": True}
        self.send("POST", f"/api/v2/dags/{_quoted(run.dag_id)}/clearTaskInstances", body)

    def result(self, run: Run, task_id: str, *, map_index: int = -1) -> Any:
        """What a task returned."""
        path = f"{run.path}/taskInstances/{task_id}/xcomEntries/return_value"
        return self.get(f"{path}?map_index={map_index}&deserialize=true")["value"]

    def results(self, run: Run, task_id: str) -> list[Any]:
        """What each successful instance of a mapped task returned."""
        return [
            self.result(run, task_id, map_index=task["map_index"])
            for task in self.tasks(run)
            if task["task_id"] == task_id and task["state"] == "success" and task["map_index"] >= 0
        ]

    def log(self, run: Run, task: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The lines of a task's last try."""
        path = f"{run.path}/taskInstances/{task['task_id']}/logs/{max(task['try_number'], 1)}"
        answer = self.get(f"{path}?map_index={task['map_index']}&full_content=true")
        return [line if isinstance(line, dict) else {"event": line} for line in answer["content"]]

    def get(self, path: str) -> dict[str, Any]:
        """Asked again when no answer comes: on a busy machine Airflow has been silent for a while."""
        for _ in range(_PATIENCE - 1):
            try:
                return self.send("GET", path)
            except TimeoutError:
                pass
            except urllib.error.URLError as error:
                if not isinstance(error.reason, TimeoutError):
                    raise
        return self.send("GET", path)

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        try:
            return self._send(method, path, body)
        except urllib.error.HTTPError as error:
            if error.code != 401:
                raise
        self._token = ""
        return self._send(method, path, body)

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        self._token = self._token or self.sign_in()
        request = urllib.request.Request(  # noqa: S310
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Accept": "application/json",
                "Content-Type": "application/json",
                "Authorization": f"Bearer {self._token}",
            },
        )
        # Never through a proxy: the address is ours.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            return dict(json.loads(answer.read() or b"{}") or {})


def _said_last(lines: Iterable[Mapping[str, Any]]) -> str:
    errors = [line for line in lines if line.get("level") in ("error", "critical")]
    for line in reversed(errors):
        detail = line.get("error_detail")
        if isinstance(detail, list) and detail:
            return str(detail[0].get("exc_value") or detail[0].get("exc_type"))
        return str(line.get("event", ""))
    return "its log holds no error"


def _last_line(trace: str) -> str:
    return trace.strip().splitlines()[-1]


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")
