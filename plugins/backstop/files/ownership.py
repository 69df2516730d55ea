"""Whom restored files belong to."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.errors import ConfigurationError

if TYPE_CHECKING:
    from backstop.model.file_tree import Entry


@dataclass(frozen=True, slots=True)
class Ownership:
    """The ids that a restore gives to its files; None leaves what the backup says.

    Ids are compared as numbers, never by name: another machine may have other names for them.
    """

    uid: int | None = None
    gid: int | None = None

    @classmethod
    def parse(cls, text: str | None) -> Ownership:
        """``user:group``, each a name or a number.

        :raises ConfigurationError: this machine knows no such user or group.
        """
        if not text:
            return cls()
        user, _, group = text.partition(":")
        try:
            uid = int(user) if user.isdecimal() else pwd.getpwnam(user).pw_uid
            gid = int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
        except KeyError as error:
            raise ConfigurationError(
                f"owner {text!r} is unknown on this machine: {error.args[0]}",
                hint="create the user and group first, or name others",
            ) from None
        return cls(uid, gid)

    def of(self, entry: Entry) -> tuple[int, int]:
        """Uid and gid of this entry."""
        return (
            entry.uid if self.uid is None else self.uid,
            entry.gid if self.gid is None else self.gid,
        )


def may_give(uid: int, gid: int) -> bool:
    """Whether this process can make a file of its own belong to them."""
    return os.geteuid() == 0 or (uid == os.geteuid() and gid in {os.getegid(), *os.getgroups()})
