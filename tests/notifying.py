"""Notifiers as users have them: templated arguments, and one that fails, and one that hangs."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

from airflow.sdk import BaseNotifier

import tests.airflow_home  # noqa: F401


class Pigeon(BaseNotifier):  # type: ignore[misc]
    """Has fields of the names that real ones have."""

    template_fields = ("subject", "message", "headers")
    sent: ClassVar[list[Pigeon]] = []

    def __init__(self, *, subject: str = "", message: str = "", headers: Any = None) -> None:
        super().__init__()
        self.subject = subject
        self.message = message
        self.headers = headers

    def notify(self, context: Any) -> None:
        Pigeon.sent.append(self)


class Lost(Pigeon):
    def notify(self, context: Any) -> None:
        raise ConnectionError("the pigeon did not come back")


class Sleeping(Pigeon):
    def notify(self, context: Any) -> None:
        threading.Event().wait()


PIGEON = "tests.notifying.Pigeon"
