"""What a restore of files is going to do, for people to read and approve; and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

from backstop.errors import CommandError, RestoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

_Self = TypeVar("_Self", bound="_Document")


class _Document:
    """Small, without secrets, and of JSON's types: it travels between tasks."""

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        values = {one.name: getattr(self, one.name) for one in fields(self)}  # type: ignore[arg-type]
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls: type[_Self], raw: Mapping[str, Any]) -> _Self:
        values = {one.name: raw[one.name] for one in fields(cls)}  # type: ignore[arg-type]
        return cls(**{name: _frozen(value) for name, value in values.items()})


@dataclass(frozen=True, slots=True)
class TreeRestorePlan(_Document):
    """What a restore will do.

    :param only: what was asked for; empty: the whole tree.
    :param destination: a new folder; None: in place.
    :param places: folders in which names will be exchanged, or the destination.
    :param adds: entries that are not there now; ``changes`` that differ, ``deletes`` that the backup has not.
    :param samples: the first of each.
    :param plain_bytes: what is written, all of it beside what is there; :param stored_bytes: to be fetched.
    :param warnings: what the approver should know.
    """

    target: str
    tree: str
    repository: str
    label: str
    snapshot_at: str
    proven_at: str | None
    only: tuple[str, ...]
    destination: str | None
    places: tuple[str, ...]
    adds: int
    changes: int
    deletes: int
    samples: tuple[str, ...]
    files: int
    plain_bytes: int
    stored_bytes: int
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RestoredTree(_Document):
    """Files that lie beside what they will replace.

    :param token: names the folders they are in, ``.backstop-<token>``.
    :param places: the live folders they are in, by :meth:`.layout.Folder.to_text`.
    :param names: files of any kind that were made.
    :param not_set: what could not be given back to them, one sentence each.
    :param notes: what was found of earlier restores.
    :param seconds: by phase.
    """

    label: str
    token: str
    places: tuple[str, ...]
    only: tuple[str, ...]
    destination: str | None
    files: int
    names: int
    plain_bytes: int
    not_set: tuple[str, ...]
    notes: tuple[str, ...]
    seconds: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Exchanged(_Document):
    """One name that changed hands.

    :param place: the live folder, by :meth:`.layout.Folder.to_text`; names are percent-encoded alike.
    :param kept: what the former file is called now; empty: there was none.
    :param inode: device and inode of what was restored; None: the restore took the name away.
    """

    place: str
    name: str
    kept: str
    inode: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class FolderBefore(_Document):
    """Of a live folder that stayed, with what is in it exchanged: what it had been like."""

    place: str
    mode: int
    uid: int
    gid: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class CommandOutput(_Document):
    """One command of ``after_restore``, and the end of what it said."""

    argv: tuple[str, ...]
    output: str


@dataclass(frozen=True, slots=True)
class TreeSwapOutcome(_Document):
    """What a swap did.

    :param kept: where the former files are, for people; at most 50.
    :param commands: those of ``after_restore`` that succeeded.
    :param failure: why ``after_restore`` failed; empty when it did not.
    :param undone: whether the former files are back.
    """

    label: str
    swapped_at: str
    exchanged: tuple[Exchanged, ...]
    folders: tuple[FolderBefore, ...]
    kept: tuple[str, ...]
    commands: tuple[CommandOutput, ...]
    failure: str
    undone: bool
    seconds: float

    def require_former(self) -> None:
        """:raises RestoreError: nothing had been there: going back would take the only files away."""
        if not self.undone and self.exchanged and not any(one.kept for one in self.exchanged):
            raise RestoreError(
                f"there is nothing to go back to: nothing was there when {self.label} was restored",
                hint="the restored files stay live; restore another backup, or remove them by hand",
            )

    def to_dict(self) -> dict[str, Any]:
        document = _Document.to_dict(self)
        for name in _NESTED:
            document[name] = [one.to_dict() for one in document[name]]
        return document

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> TreeSwapOutcome:
        return cls(
            **{
                **{one.name: _frozen(raw[one.name]) for one in fields(cls)},
                **{
                    name: tuple(kind.from_dict(one) for one in raw[name])  # type: ignore[attr-defined]
                    for name, kind in _NESTED.items()
                },
            }
        )


_NESTED = {"exchanged": Exchanged, "folders": FolderBefore, "commands": CommandOutput}


class TreeSwapError(CommandError):
    """``after_restore`` failed; the message says which files are live now.

    :param outcome: to swap back by, when they are the restored ones.
    """

    def __init__(self, message: str, *, hint: str, outcome: TreeSwapOutcome) -> None:
        super().__init__(message, hint=hint)
        self.outcome = outcome


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
