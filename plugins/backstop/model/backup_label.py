"""A backup's name, and what it tells: when the backup began, and how it was taken."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum

_LABEL = re.compile(r"\d{8}T\d{6}Z-(?:dump|full|incr|tree-[a-z0-9][a-z0-9_-]{0,39})")


class BackupKind(str, Enum):
    """How the backup was taken; also the last part of its label."""

    DUMP = "dump"
    FULL = "full"
    INCREMENTAL = "incr"
    TREE = "tree"

    @property
    def physical(self) -> bool:
        """Whether it is a base backup: a copy of the whole cluster's files."""
        return self in (BackupKind.FULL, BackupKind.INCREMENTAL)


_KINDS = {kind.value: kind for kind in BackupKind}
_STAMP = len("20261123T010000Z-")
_TREE = _STAMP + len("tree")


@dataclass(frozen=True, order=True, slots=True)
class BackupLabel:
    """``20261123T010000Z-dump``: the second the backup started (UTC) and its kind.

    Of a file tree also its name, ``20261123T020000Z-tree-media``: several are backed up at the same time.
    Labels name backups; they never order them (that is ``finished_at``, see docs/format.md).
    """

    text: str

    def __post_init__(self) -> None:
        if not _LABEL.fullmatch(self.text):
            raise ValueError(f"{self.text!r} is not a backup label; expected e.g. 20261123T010000Z-dump")

    @staticmethod
    def is_one(text: str) -> bool:
        """Whether the text has the form of a label."""
        return _LABEL.fullmatch(text) is not None

    @classmethod
    def at(cls, started_at: datetime, kind: BackupKind, *, tree: str = "") -> BackupLabel:
        """The label of a backup of this kind that starts now.

        :param tree: its name, of a file tree.
        """
        stamp = started_at.astimezone(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        return cls(f"{stamp}-{kind.value}-{tree}" if tree else f"{stamp}-{kind.value}")

    @property
    def kind(self) -> BackupKind:
        return _KINDS[self.text[_STAMP:_TREE]]

    @property
    def tree(self) -> str:
        """Name of the file tree; empty for a backup of a database."""
        return self.text[_TREE + 1 :]

    @property
    def component(self) -> str:
        """What it is a backup of: ``dump``, ``base`` (full and incremental), ``tree:media``."""
        if self.tree:
            return f"tree:{self.tree}"
        return "base" if self.kind.physical else "dump"

    @property
    def lease_kind(self) -> str:
        """Of the lease that whoever writes such a backup holds: ``dump``, ``base``, ``tree-media``."""
        return self.component.replace(":", "-")

    def __str__(self) -> str:
        return self.text
