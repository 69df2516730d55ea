"""Puts restored files in the place of live ones, name by name, and back again.

At any moment each name leads to the old file or to the new one, whole. Only for a folder on a file system
without ``RENAME_EXCHANGE`` (NFS, some overlays) is there an instant between two renames at which a kill
leaves the name free; :func:`settle` puts the old one back then.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.files.rename import exchanged, exists, inode, move

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Replacement:
    """One name that changes hands.

    :param name: in the live folder, and of what takes its place in the staging folder.
    :param kept: what the live one is called afterwards.
    :param staged: device and inode of what takes the place; None where nothing does: the name goes away.
    """

    name: bytes
    kept: bytes
    staged: tuple[int, int] | None


def replace(live: int, staging: int, one: Replacement) -> bool:
    """Carry it out. Both are descriptors of folders on one file system.

    :returns: whether there was a live one, which is called ``kept`` now.
    :raises OSError: not done; the name leads to what it led to.
    """
    there = exists(live, one.name)
    if one.staged is None:
        if there:
            move(live, one.name, live, one.kept)
        return there
    if not there:
        move(staging, one.name, live, one.name)
        return False
    try:
        if exchanged(staging, one.name, live, one.name):
            move(staging, one.name, live, one.kept)
        else:
            _replace_in_two(live, staging, one)
    except BaseException:
        # A step may have been taken all the same: a signal comes when it likes.
        take_back(live, staging, one)
        raise
    return True


def put_back(live: int, staging: int, one: Replacement, *, there_was: bool) -> None:
    """Undo :func:`replace`: what had been restored is in the staging folder again.

    :param there_was: what it returned.
    """
    if one.staged is None:
        if there_was:
            move(live, one.kept, live, one.name)
        return
    if not there_was:
        move(live, one.name, staging, one.name)
        return
    if exchanged(live, one.kept, live, one.name):
        move(live, one.kept, staging, one.name)
        return
    move(live, one.name, staging, one.name)
    move(live, one.kept, live, one.name)


def take_back(live: int, staging: int, one: Replacement) -> None:
    """Undo a :func:`replace` that was interrupted, however far it came."""
    waiting = inode(staging, one.name)
    if one.staged is None or waiting is None:
        if one.staged is None and exists(live, one.name):
            return
        put_back(live, staging, one, there_was=exists(live, one.kept))
    elif waiting != one.staged:
        exchanged(staging, one.name, live, one.name)
    else:
        settle(live, staging, one)


def settle(live: int, staging: int, one: Replacement) -> bool:
    """Finish what a kill has left half-way in :func:`replace`: nothing that was live is lost.

    :returns: whether the name leads to what was restored.
    """
    if one.staged is None:
        return not exists(live, one.name)
    waiting = inode(staging, one.name)
    if waiting is not None and waiting != one.staged:
        # Exchanged, and not yet called by its new name.
        move(staging, one.name, live, _free(live, one.kept))
        return True
    if waiting is not None and not exists(live, one.name) and exists(live, one.kept):
        move(live, one.kept, live, one.name)
    if waiting is not None and inode(live, one.kept) == inode(live, one.name) is not None:
        os.unlink(one.kept, dir_fd=live)
    return waiting is None


def free_name(live: int, name: Callable[[int], bytes]) -> bytes:
    """The first of the names, by number, that is not taken."""
    number = 0
    while exists(live, name(number)):
        number += 1
    return name(number)


def _free(live: int, kept: bytes) -> bytes:
    return free_name(live, lambda number: kept + (b"-%d" % number if number else b""))


def _replace_in_two(live: int, staging: int, one: Replacement) -> None:
    kinds = {
        stat.S_ISDIR(os.stat(one.name, dir_fd=folder, follow_symlinks=False).st_mode)
        for folder in (live, staging)
    }
    if kinds == {False}:
        # A second name for the old one; then the new one takes the first in one step.
        os.link(one.name, one.kept, src_dir_fd=live, dst_dir_fd=live, follow_symlinks=False)
        os.rename(one.name, one.name, src_dir_fd=staging, dst_dir_fd=live)
        return
    move(live, one.name, live, one.kept)
    move(staging, one.name, live, one.name)
