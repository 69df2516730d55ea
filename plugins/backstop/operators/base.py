"""What every Backstop operator shares: failures are explained, and retried only when time heals them."""

from __future__ import annotations

import json
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from airflow.sdk import BaseOperator
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowRuntimeError

from backstop.errors import BackstopError
from backstop.model.holder import airflow_holder
from backstop.model.words import printable
from backstop.notifications.runs import task_failed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import Context


def holder(context: Context) -> str:
    """How leases and pins name this task to others, who may belong to another Airflow."""
    task = context["ti"]
    return airflow_holder(airflow_address(), dag_id=task.dag_id, run_id=task.run_id, task_id=task.task_id)


def airflow_address() -> str | None:
    """Where people find this Airflow, without a login that somebody may have put there; None: not said."""
    url = urlsplit(conf.get("api", "base_url", fallback="") or "")
    if not url.hostname:
        return None
    return printable(urlunsplit((url.scheme, url.netloc.rpartition("@")[2], url.path.rstrip("/"), "", "")))


@contextmanager
def explained() -> Iterator[None]:
    """Turn an expected failure into what Airflow should do about it.

    What time heals (a busy server, an unreachable repository, a lost connection) is raised as it is: the
    task's own ``retries`` decide. Everything else fails the task at once, message and next step in its log;
    trying a programming error again only delays the news.
    """
    try:
        yield
    except BackstopError as error:
        if error.retryable:
            raise
        raise AirflowFailException(str(error)) from error
    except (AirflowException, AirflowRuntimeError, ConnectionError, TimeoutError):
        raise
    except Exception as error:
        raise AirflowFailException(f"unexpected {type(error).__name__}: {error}") from error


def result_of(task_id: str, *, key: str = "return_value") -> str:
    """A template that renders to another task's result, as JSON; ``null`` when it has none.

    Unlike ``task.output`` it draws no line in the graph, which then shows the order of the steps alone.

    :param key: of what it pushed by itself, which is there although it failed later.
    """
    which = "" if key == "return_value" else f", key='{key}'"
    return "{{ ti.xcom_pull(task_ids='" + task_id + "'" + which + ") | tojson }}"


def is_true(value: Any) -> bool:
    """What a form's switch says; nothing else that somebody may pass over the API counts as yes."""
    return value is True or value == "true"


class TakesResults:
    """Mixed in before an operator: turns what :func:`result_of` rendered back into the value it was.

    :cvar results: the attributes that hold such templates; they are template fields too.
    """

    results: tuple[str, ...] = ()

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        super().render_template_fields(context, jinja_env)  # type: ignore[misc]
        for name in self.results:
            setattr(self, name, json.loads(getattr(self, name)))

    def take_results(self) -> None:
        """The same in a mapped task: Airflow renders the fields of those without asking the operator."""
        for name in self.results:
            value = getattr(self, name)
            if isinstance(value, str):
                setattr(self, name, json.loads(value))


class BackstopOperator(TakesResults, BaseOperator):  # type: ignore[misc]
    """An operator that translates its arguments into one call of a command.

    :param target: a name of targets.yaml; templated.
    """

    template_fields: tuple[str, ...] = ("target",)

    def __init__(self, *, target: str, **kwargs: Any) -> None:
        kwargs.setdefault("on_failure_callback", task_failed)
        super().__init__(**kwargs)
        self.target = target

    def execute(self, context: Context) -> Any:
        # It tells of every data key; a task's log is read by people.
        logging.getLogger("aws_encryption_sdk").setLevel(logging.WARNING)
        with explained():
            return self.carry_out(context)

    def carry_out(self, context: Context) -> Any:
        """The call. Returns a small dict without secrets, which becomes the task's XCom."""
        raise NotImplementedError
