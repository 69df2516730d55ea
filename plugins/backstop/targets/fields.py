"""The texts of targets.yaml that have rules of their own: names, paths, ARNs, durations, schedules.

A validator says what was expected; targets/check.py adds what was found, unless that could be a secret.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, WithJsonSchema

from backstop.model.stagger import is_spread, settle
from backstop.targets.durations import DURATION_PATTERN, parse_duration
from backstop.targets.shares import SHARE_PATTERN, parse_share

_SCALAR_SCHEMA: dict[str, Any] = {"type": ["boolean", "number", "string", "null"]}

NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,39}$"
"""Names become S3 prefixes, directories and DAG ids."""


def _absolute(path: Path) -> Path:
    if not path.is_absolute() or ".." in path.parts:
        raise ValueError("expected an absolute path without '..'")
    # Below it lie sockets, and settings that name them: PostgreSQL takes a comma there for a list, and the
    # sandbox's mounts know no quoting.
    if re.search(r'[,"\\\n]', str(path)):
        raise ValueError("expected a path without comma, double quote and backslash")
    return path


def _tree_path(text: str) -> str:
    if not text.startswith("/") or ".." in text.split("/") or "\n" in text or not text.strip("/"):
        raise ValueError(
            "expected an absolute path or glob without '..', such as /etc/systemd/system/app*.service"
        )
    return re.sub("/+", "/", text).rstrip("/")


def _owner(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]+\$?:[A-Za-z0-9_.-]+\$?", text):
        raise ValueError("expected <user>:<group>, names or numbers, such as www-data:www-data")
    return text


def _below_root(path: Path) -> Path:
    if path == Path("/"):
        raise ValueError("expected a directory of its own")
    return path


def is_name(text: str) -> bool:
    """Whether a target, a repository or a tree can be called so."""
    return re.fullmatch(NAME_PATTERN[1:-1], text) is not None


def checked_name(text: str) -> str:
    """:raises ValueError: nothing can be called so."""
    if not is_name(text):
        raise ValueError(
            "expected a name of at most 40 lower-case letters, digits, '_' and '-', beginning with a letter "
            "or digit"
        )
    return text


def _endpoint(url: str) -> str:
    if re.match(r"https?://[^/]*@", url):
        raise ValueError("expected a URL without user name or password; credentials belong in the connection")
    if not re.fullmatch(r"https?://[A-Za-z0-9._\[\]:-]+/?", url):
        raise ValueError("expected a URL such as https://s3.example.com:8333")
    return url.rstrip("/")


def _bucket(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", text) or ".." in text:
        raise ValueError("expected an S3 bucket name (3 to 63 of a-z, 0-9, '.', '-')")
    return text


def _prefix(text: str) -> str:
    parts = text.split("/")
    if text and any(part in ("", ".", "..") for part in parts):
        raise ValueError("expected a key prefix such as backups/lab, without '/' at its ends")
    return text


def _key_arn(text: str) -> str:
    if not re.fullmatch(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+", text):
        raise ValueError(
            "expected the ARN of a key, arn:aws:kms:<region>:<12 digits>:key/<id> "
            "(an alias cannot be used to decrypt)"
        )
    return text


# The same few schedules stand with every target, and croniter takes its time.
@lru_cache(maxsize=1024)
def _schedule(text: str) -> str:
    from croniter import croniter

    presets = ("@hourly", "@daily", "@weekly", "@monthly")
    try:
        plain = settle(text, name="", procedure="")
    except ValueError as error:
        raise ValueError(f"{error} in a schedule") from None
    # croniter knows R, a time that nobody knows beforehand.
    if text not in presets and (
        len(plain.split()) != 5
        or re.search(r"(^|[ ,])[RrHh]([ ,(/]|$)", plain)
        or not croniter.is_valid(plain)
    ):
        raise ValueError(
            f"expected five cron fields such as '0 1 * * *' or 'H 1 * * *', or {', '.join(presets)}"
        )
    if not all(map(_comes, _in_each_month(text, plain))):
        raise ValueError("expected a day that comes, in whatever month H may be: 30 February does not")
    return text


def _in_each_month(written: str, plain: str) -> list[str]:
    """What it may mean for some target: where the month is left open, each of them."""
    fields, months = plain.split(), written.split()[3:4]
    if len(fields) != 5 or not is_spread("".join(months)):
        return [plain]
    return [" ".join([*fields[:3], str(month), fields[4]]) for month in range(1, 13)]


def _comes(plain: str) -> bool:
    """Whether there is ever such a time. Airflow logs an error otherwise, and never runs that DAG."""
    from croniter import CroniterBadDateError, croniter

    try:
        croniter(plain, datetime(2024, 1, 1, tzinfo=timezone.utc)).get_next()
    except CroniterBadDateError:
        return False
    return True


def _slot_name(text: str) -> str:
    # PostgreSQL docs, 26.2.6.1. Replication Slots
    if not re.fullmatch(r"[a-z0-9_]{1,63}", text):
        raise ValueError("expected the name of a replication slot: at most 63 of a-z, 0-9, '_'")
    return text


def _conn_id(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,200}", text):
        raise ValueError("expected the id of a connection: letters, digits, '_', '.', '-'")
    return text


def _answer(raw: Any) -> Any:
    def is_scalar(value: Any) -> bool:
        return value is None or isinstance(value, bool | int | float | str)

    rows = raw if isinstance(raw, list) else []
    if is_scalar(raw) or (
        isinstance(raw, list) and all(isinstance(row, list) and all(map(is_scalar, row)) for row in rows)
    ):
        return raw
    raise ValueError("expected one value, or a list of rows such as [[1, 'a'], [2, 'b']]")


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "examples": ["30d", "1h30m"]}),
]
Share = Annotated[
    float,
    BeforeValidator(parse_share),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
                {"type": "string", "pattern": SHARE_PATTERN, "examples": ["5%"]},
            ]
        }
    ),
]
KeyArn = Annotated[str, AfterValidator(_key_arn)]
Bucket = Annotated[str, AfterValidator(_bucket)]
Prefix = Annotated[str, AfterValidator(_prefix)]
Schedule = Annotated[str, AfterValidator(_schedule)]
AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
RepositoryPath = Annotated[AbsolutePath, AfterValidator(_below_root)]
Name = Annotated[str, AfterValidator(checked_name), Field(json_schema_extra={"pattern": NAME_PATTERN})]
SlotName = Annotated[str, AfterValidator(_slot_name)]
TreePath = Annotated[str, AfterValidator(_tree_path)]
Owner = Annotated[str, AfterValidator(_owner)]
ConnId = Annotated[str, AfterValidator(_conn_id)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
Text = Annotated[str, Field(min_length=1)]
Argv = Annotated[list[Text], Field(min_length=1)]
Scalar = bool | int | float | str | None
Answer = Annotated[
    Scalar | list[list[Scalar]],
    PlainValidator(_answer),
    WithJsonSchema(
        {"anyOf": [_SCALAR_SCHEMA, {"type": "array", "items": {"type": "array", "items": _SCALAR_SCHEMA}}]}
    ),
]
