"""What people write, as the values that commands take: labels, moments, names of repositories."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from backstop.errors import ConfigurationError, NotFoundError
from backstop.model.backup import BackupLabel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from backstop.repository.catalog import Repository


def utc_now() -> datetime:
    """The clock that shells hand to commands."""
    return datetime.now(timezone.utc)


def parse_label(text: str) -> BackupLabel:
    """:raises ConfigurationError: not the form of a label."""
    try:
        return BackupLabel(text)
    except ValueError as error:
        raise ConfigurationError(str(error), hint="copy it from the list of backups") from error


def parse_moment(text: str) -> datetime:
    """A time with its zone, such as ``2027-01-31T00:00:00Z``. :raises ConfigurationError: it is none."""
    try:
        moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
        utc = moment.astimezone(timezone.utc) if moment.tzinfo else None
    except (ValueError, OverflowError):
        utc = None
    if utc is None:
        raise ConfigurationError(f"{text!r} is no time with its zone", hint="write 2027-01-31T00:00:00Z")
    return utc


def parse_period_begin(text: str) -> datetime:
    """A day, from 00:00 UTC on, or a time with its zone. :raises ConfigurationError: it is neither."""
    day = _day(text)
    return parse_moment(text) if day is None else day


def parse_period_end(text: str) -> datetime:
    """A day, to its end, or a time with its zone. :raises ConfigurationError: it is neither."""
    day = _day(text)
    if day is None:
        return parse_moment(text)
    return day + min(timedelta(days=1), datetime.max.replace(tzinfo=timezone.utc) - day)


def _day(text: str) -> datetime | None:
    try:
        return datetime.strptime(text.strip(), "%Y-%m-%d").replace(tzinfo=timezone.utc)
    except ValueError:
        return None


def named_repository(repositories: Sequence[Repository], name: str) -> Repository:
    """:raises NotFoundError: the target has no repository of that name."""
    for repository in repositories:
        if repository.name == name:
            return repository
    raise NotFoundError(
        f"the target has no repository {name!r}",
        hint=f"choose one of: {', '.join(one.name for one in repositories)}",
    )
