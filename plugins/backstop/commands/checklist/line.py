"""Lines of a checklist: each is tried, timed, and says what came of it; none raises."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from backstop.errors import BackstopError
from backstop.model.measured import CheckedItem, Outcome, the_component

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST_DETAILS = 50


def tried(item: str, component: str, look: Callable[[], CheckedItem]) -> CheckedItem:
    """What ``look`` says, with how long it took; what it raises is a failed line."""
    import psycopg

    began = time.monotonic()
    try:
        line = look()
    except BackstopError as error:
        line = failed(item, component, error.message, [error.hint] if error.hint else [])
    except psycopg.Error as error:
        # Of a query of ours; whose message could quote rows.
        line = failed(item, component, f"the database failed: {type(error).__name__} ({error.sqlstate})")
    except OSError as error:
        line = failed(item, component, f"it could not be looked at: {error}")
    return replace(line, seconds=round(time.monotonic() - began, 3))


def passed(item: str, component: str, sentence: str, details: Sequence[str] = ()) -> CheckedItem:
    return CheckedItem(item, component, Outcome.PASSED, sentence, tuple(details))


def failed(item: str, component: str, sentence: str, details: Sequence[str] = ()) -> CheckedItem:
    """With the first of the details; all are counted."""
    shown = tuple(details[:MOST_DETAILS])
    rest = len(details) - len(shown)
    return CheckedItem(
        item, component, Outcome.FAILED, sentence, (*shown, *([f"and {rest} more"] if rest else []))
    )


def not_applicable(item: str, component: str, sentence: str) -> CheckedItem:
    return CheckedItem(item, component, Outcome.NOT_APPLICABLE, sentence)


def not_done(item: str, component: str, because: str) -> CheckedItem:
    return CheckedItem(item, component, Outcome.NOT_DONE, because)


def in_words(component: str) -> str:
    return the_component(component)


def counted(count: int, one: str, many: str = "") -> str:
    """``1 file``, ``4,220 files``. :param many: of a word that does not end in s then."""
    return f"{count:,} {one}" if count == 1 else f"{count:,} {many or one + 's'}"
