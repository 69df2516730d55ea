"""A drill as JSON: what its record of evidence holds, and the inventory. Pure.

Times are written as everywhere in the repository, durations as seconds, outcomes by their words.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from backstop.errors import IntegrityError
from backstop.model.canonical import format_time, parse_time
from backstop.model.drill import DrillRecord, SignOff
from backstop.model.measured import CheckedItem, ComponentRecovery, Outcome, Phase
from backstop.model.observation import ForecastSeen

if TYPE_CHECKING:
    from collections.abc import Mapping


def drill_to_dict(record: DrillRecord) -> dict[str, Any]:
    """Of JSON's types alone."""
    return {
        "drill_id": record.drill_id,
        "target": record.target,
        "scenario": record.scenario,
        "seed": record.seed,
        "window_begins_at": format_time(record.window_begins_at),
        "window_ends_at": format_time(record.window_ends_at),
        "disaster_at": format_time(record.disaster_at),
        "began_at": format_time(record.began_at),
        "ended_at": format_time(record.ended_at),
        "components": [recovery_to_dict(one) for one in record.components],
        "checklist": [checked_to_dict(one) for one in record.checklist],
        "left_behind": list(record.left_behind),
        "requested_by": record.requested_by,
        "host": record.host,
        "version": record.version,
        "sign_off": sign_off_to_dict(record.sign_off) if record.sign_off else None,
    }


def drill_from_dict(raw: Mapping[str, Any]) -> DrillRecord:
    """The inverse. :raises IntegrityError: it is malformed, or of a later version."""
    try:
        return DrillRecord(
            drill_id=str(raw["drill_id"]),
            target=str(raw["target"]),
            scenario=str(raw["scenario"]),
            seed=str(raw["seed"]),
            window_begins_at=parse_time(raw["window_begins_at"]),
            window_ends_at=parse_time(raw["window_ends_at"]),
            disaster_at=parse_time(raw["disaster_at"]),
            began_at=parse_time(raw["began_at"]),
            ended_at=parse_time(raw["ended_at"]),
            components=tuple(recovery_from_dict(one) for one in raw["components"]),
            checklist=tuple(checked_from_dict(one) for one in raw["checklist"]),
            left_behind=tuple(raw["left_behind"]),
            requested_by=raw["requested_by"],
            host=raw["host"],
            version=raw["version"],
            sign_off=sign_off_from_dict(raw["sign_off"]) if raw["sign_off"] else None,
        )
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
        what = raw.get("drill_id") if hasattr(raw, "get") else raw
        raise IntegrityError(
            f"the record of drill {what!r} is malformed: {error}",
            hint="compare it with the copy in the other repository; a newer Backstop may have written it",
        ) from error


def sign_off_to_dict(sign_off: SignOff) -> dict[str, Any]:
    return {
        "by": sign_off.by,
        "at": format_time(sign_off.at),
        "accepted": sign_off.accepted,
        "remarks": sign_off.remarks,
    }


def sign_off_from_dict(raw: Mapping[str, Any]) -> SignOff:
    """:raises KeyError, TypeError, ValueError: it is none."""
    if not isinstance(raw["accepted"], bool):
        raise TypeError(f"accepted is {raw['accepted']!r}")
    return SignOff(
        by=str(raw["by"]), at=parse_time(raw["at"]), accepted=raw["accepted"], remarks=raw["remarks"]
    )


def recovery_to_dict(one: ComponentRecovery) -> dict[str, Any]:
    """Of JSON's types alone; an incident's record uses it too."""
    return {
        "component": one.component,
        "repository": one.repository,
        "label": one.label,
        "lost_at": format_time(one.lost_at),
        "recovered_to": _time(one.recovered_to),
        "loss_seconds": _seconds(one.loss),
        "loss_says": one.loss_says,
        "phases": [
            {
                "name": each.name,
                "began_at": format_time(each.began_at),
                "ended_at": format_time(each.ended_at),
            }
            for each in one.phases
        ],
        "downtime_seconds": _seconds(one.downtime),
        "rto_seconds": _seconds(one.rto),
        "rpo_seconds": _seconds(one.rpo),
        "forecast": _forecast(one.forecast) if one.forecast else None,
        "failure": one.failure,
        "notes": list(one.notes),
        "bytes": one.bytes,
        "segments": one.segments,
    }


def recovery_from_dict(raw: Mapping[str, Any]) -> ComponentRecovery:
    """:raises KeyError, TypeError, ValueError: it is none."""
    foreseen = raw["forecast"]
    return ComponentRecovery(
        component=raw["component"],
        repository=raw["repository"],
        label=raw["label"],
        lost_at=parse_time(raw["lost_at"]),
        recovered_to=_moment(raw["recovered_to"]),
        loss=_duration(raw["loss_seconds"]),
        loss_says=raw["loss_says"],
        phases=tuple(
            Phase(each["name"], parse_time(each["began_at"]), parse_time(each["ended_at"]))
            for each in raw["phases"]
        ),
        downtime=_duration(raw["downtime_seconds"]),
        rto=_duration(raw["rto_seconds"]),
        rpo=_duration(raw["rpo_seconds"]),
        forecast=ForecastSeen(**foreseen) if foreseen else None,
        failure=raw["failure"],
        notes=tuple(raw["notes"]),
        bytes=raw["bytes"],
        segments=raw["segments"],
    )


def checked_to_dict(one: CheckedItem) -> dict[str, Any]:
    """Of JSON's types alone; tasks hand it on, an incident's journal keeps it."""
    return {
        "item": one.item,
        "component": one.component,
        "outcome": one.outcome.value,
        "sentence": one.sentence,
        "details": list(one.details),
        "seconds": one.seconds,
    }


def checked_from_dict(raw: Mapping[str, Any]) -> CheckedItem:
    """:raises KeyError, TypeError, ValueError: it is none."""
    return CheckedItem(
        item=raw["item"],
        component=raw["component"],
        outcome=Outcome(raw["outcome"]),
        sentence=raw["sentence"],
        details=tuple(raw["details"]),
        seconds=raw["seconds"],
    )


def _forecast(one: ForecastSeen) -> dict[str, Any]:
    return {
        "median_seconds": one.median_seconds,
        "low_seconds": one.low_seconds,
        "high_seconds": one.high_seconds,
        "samples": one.samples,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else parse_time(text)


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def _duration(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
