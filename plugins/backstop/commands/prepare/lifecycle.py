"""What a bucket may remove by itself: pieces of uploads that nobody finished, versions that nobody reads.

Never a current object: that is expiry's, which knows what a backup is. Rules of others are kept as they are;
one that would remove current objects of ours is named, for its owner to change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from backstop.commands.prepare.preparation import Difference

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import timedelta

UPLOADS_DAYS = 7
_PREFIX_OF_IDS = "backstop-"


class Lifecycle(Protocol):
    """:class:`backstop.storage.s3_lifecycle.BucketLifecycle`."""

    def rules(self) -> list[dict[str, Any]]: ...
    def write(self, rules: Sequence[dict[str, Any]]) -> None: ...


class LifecycleStep:
    """Our rules among those of the bucket.

    :param prefixes: where our objects are, each ending in ``/``: nothing else in the bucket is concerned.
    :param noncurrent: how long versions stay that somebody has deleted or overwritten, and can be undone.
    """

    def __init__(self, lifecycle: Lifecycle, prefixes: Sequence[str], *, noncurrent: timedelta) -> None:
        self._lifecycle = lifecycle
        self._prefixes = prefixes
        self._noncurrent_days = max(1, noncurrent.days)

    def differences(self) -> list[Difference]:
        rules = self._lifecycle.rules()
        found: list[Difference] = []
        for wanted in self._wanted():
            there = next((rule for rule in rules if rule.get("ID") == wanted["ID"]), None)
            if there is None or not _same(there, wanted):
                found.append(
                    Difference(
                        f"lifecycle rule {wanted['ID']}",
                        "is missing" if there is None else _words(there),
                        _words(wanted),
                        "unfinished uploads are billed for ever"
                        if "AbortIncompleteMultipartUpload" in wanted
                        else "versions that nobody reads are billed for ever",
                    )
                )
        found += [
            Difference(
                f"lifecycle rule {rule.get('ID', 'without a name')}",
                _words(rule),
                "none that removes or moves current objects of a repository",
                "it would destroy backups; change or remove it",
                ours=False,
            )
            for rule in rules
            if not str(rule.get("ID", "")).startswith(_PREFIX_OF_IDS) and self._endangers(rule)
        ]
        return found

    def apply(self) -> None:
        rules = self._lifecycle.rules()
        wanted = {rule["ID"]: rule for rule in self._wanted()}
        merged = [wanted.pop(str(rule.get("ID")), rule) for rule in rules]
        self._lifecycle.write([*merged, *wanted.values()])

    def _wanted(self) -> Iterator[dict[str, Any]]:
        for prefix in self._prefixes:
            name = f"{_PREFIX_OF_IDS}{_dotted(prefix)}"
            yield {
                "ID": f"{name}-uploads",
                "Status": "Enabled",
                "Filter": {"Prefix": prefix},
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": UPLOADS_DAYS},
            }
            yield {
                "ID": f"{name}-noncurrent",
                "Status": "Enabled",
                "Filter": {"Prefix": prefix},
                "NoncurrentVersionExpiration": {"NoncurrentDays": self._noncurrent_days},
            }

    def _endangers(self, rule: dict[str, Any]) -> bool:
        if rule.get("Status") != "Enabled":
            return False
        expiration = rule.get("Expiration") or {}
        # "Expired" delete markers hide nothing any more.
        removes = "Days" in expiration or "Date" in expiration
        moves = bool(rule.get("Transitions"))
        covered = _prefix_of(rule)
        touches = any(ours.startswith(covered) or covered.startswith(ours) for ours in self._prefixes)
        return (removes or moves) and touches


def _dotted(prefix: str) -> str:
    """``a/b/`` as ``a.b``, ``a.b/`` as ``a..b``: no two prefixes as the same, since none has ``/.`` in it."""
    return prefix.strip("/").replace(".", "..").replace("/", ".")


def _prefix_of(rule: dict[str, Any]) -> str:
    chosen = rule.get("Filter") or {}
    return str(chosen.get("Prefix") or (chosen.get("And") or {}).get("Prefix") or rule.get("Prefix") or "")


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    actions = ("Status", "AbortIncompleteMultipartUpload", "NoncurrentVersionExpiration", "Expiration")
    return _prefix_of(one) == _prefix_of(other) and all(
        (one.get(name) or None) == (other.get(name) or None) for name in actions
    )


def _words(rule: dict[str, Any]) -> str:
    """``below x/: unfinished uploads go after 7 days``."""
    said = []
    if days := (rule.get("AbortIncompleteMultipartUpload") or {}).get("DaysAfterInitiation"):
        said.append(f"unfinished uploads go after {days} days")
    if days := (rule.get("NoncurrentVersionExpiration") or {}).get("NoncurrentDays"):
        said.append(f"noncurrent versions go after {days} days")
    expiration = rule.get("Expiration") or {}
    if when := expiration.get("Days") or expiration.get("Date"):
        said.append(
            f"current objects go after {when} days" if "Days" in expiration else f"objects go at {when}"
        )
    if rule.get("Transitions"):
        said.append("current objects move to another storage class")
    off = "" if rule.get("Status") == "Enabled" else " (switched off)"
    return f"below {_prefix_of(rule) or 'everything'}: {', '.join(said) or 'nothing that concerns us'}{off}"
