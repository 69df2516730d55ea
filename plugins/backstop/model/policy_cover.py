"""Whether a policy denies what a guard is to deny, and how to make it so without denying less. Pure.

Policies are read as AWS means them, not as they are written: a service gives a list of one back as a string,
and somebody's own statement may be the stricter one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Statement = dict[str, Any]
_INVERTED = ("NotAction", "NotResource", "NotPrincipal")


def statements_of(policy: Mapping[str, Any] | None) -> list[Statement]:
    """In their order; of no policy, none."""
    return list(_listed((policy or {}).get("Statement", [])))


def denies(statements: Sequence[Statement], guard: Statement) -> bool:
    """Whether all that the guard denies is denied: by one of them or several, under its name or another."""
    effective = [one for one in statements if _is_as_strict(one, guard)]
    return all(
        any(
            _any_covers(one["Action"], action, fold=True) and _any_covers(one["Resource"], resource)
            for one in effective
        )
        for action in _listed(guard["Action"])
        for resource in _listed(guard["Resource"])
    )


def with_guard(statements: Sequence[Statement], guard: Statement) -> list[Statement]:
    """The statements, and the guard, which may be part of them by now.

    The statement of its name is ours: it gets what it lacks, and keeps what it denies besides: another
    repository in the bucket, or what its owner has added. One that says something else is put right.
    """
    if denies(statements, guard):
        return list(statements)
    others = [one for one in statements if one.get("Sid") != guard["Sid"]]
    there = next((one for one in statements if one.get("Sid") == guard["Sid"]), None)
    return [*others, guard if there is None else _joined(there, guard)]


def _joined(there: Statement, guard: Statement) -> Statement:
    if there.get("Effect") != "Deny" or any(name in there for name in _INVERTED):
        return guard
    joined = {
        **guard,
        "Action": _union(there.get("Action", []), guard["Action"]),
        "Resource": _union(there.get("Resource", []), guard["Resource"]),
    }
    if not there.get("Condition"):
        joined.pop("Condition", None)  # it denies whatever the condition says
    return joined


def _is_as_strict(one: Statement, guard: Statement) -> bool:
    """But for actions and resources."""
    return (
        one.get("Effect") == "Deny"
        and not any(name in one for name in _INVERTED)
        and _is_everybody(one.get("Principal"))
        and (not one.get("Condition") or _conditions(one) == _conditions(guard))
        and "Action" in one
        and "Resource" in one
    )


def _is_everybody(principal: Any) -> bool:
    return principal == "*" or (isinstance(principal, dict) and "*" in _listed(principal.get("AWS", [])))


def _conditions(one: Statement) -> dict[tuple[str, str], frozenset[str]]:
    return {
        (operator, key.lower()): frozenset(str(value).lower() for value in _listed(values))
        for operator, keys in (one.get("Condition") or {}).items()
        for key, values in keys.items()
    }


def _any_covers(patterns: Any, wanted: str, *, fold: bool = False) -> bool:
    return any(_covers(pattern, wanted, fold=fold) for pattern in _listed(patterns))


def _covers(pattern: str, wanted: str, *, fold: bool) -> bool:
    """Whether ``pattern`` matches all that ``wanted`` does, which may be a pattern itself."""
    parts = {"*": ".*", "?": "[^*]"}
    expression = "".join(parts.get(character) or re.escape(character) for character in pattern)
    return re.fullmatch(expression, wanted, re.DOTALL | (re.IGNORECASE if fold else 0)) is not None


def _union(one: Any, other: Any) -> list[Any]:
    return list(dict.fromkeys([*_listed(one), *_listed(other)]))


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
