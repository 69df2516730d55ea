"""Who asked for something dangerous, and who let it go on or did not."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from backstop.model.canonical import format_time

if TYPE_CHECKING:
    from datetime import datetime


class Answer(str, Enum):
    """What became of a question."""

    APPROVED = "approved"
    REJECTED = "rejected"
    REFUSED = "refused"
    """Somebody approved who may not, such as whoever asked."""
    UNANSWERED = "unanswered"
    NOT_REQUIRED = "not required"
    """Policy asks for nobody's consent; the run went on by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One answer, as the inventory keeps it.

    :param procedure: ``restore``, ``expiry``, ``recovery``. :param question: the form's headline.
    :param asked_by: empty: the schedule, or nobody whom Airflow knows.
    :param answered_by: empty: nobody was asked, or nobody answered.
    :param because: why it was refused, or why one person went on alone.
    :param plan_sha256: of what was shown; an approval holds for nothing else.
    """

    target: str
    procedure: str
    question: str
    answer: Answer
    asked_by: str
    answered_by: str
    decided_at: datetime
    because: str = ""
    plan_sha256: str = ""
    dag_id: str = ""
    run_id: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "answer": self.answer.value, "decided_at": format_time(self.decided_at)}
