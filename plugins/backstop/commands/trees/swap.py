"""The short part of a restore of files: names exchanged, services reloaded; and the way back."""

from __future__ import annotations

import errno
import logging
import os
import stat
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote_from_bytes, unquote_to_bytes

from backstop.commands.trees.area import SWAPPING, VALIDATED, Area, open_area, refused
from backstop.commands.trees.layout import Folder
from backstop.commands.trees.plan import Exchanged, FolderBefore
from backstop.errors import RestoreError
from backstop.files import exchange
from backstop.files.metadata import give
from backstop.files.names import kept_name, staging_name
from backstop.files.rename import exchanged, exists, flush, inode, move
from backstop.model.file_tree import Entry, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from backstop.files.exchange import Replacement
    from backstop.files.ownership import Ownership
    from backstop.files.shortfalls import Shortfalls

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Swap:
    """All names of one restore, exchanged one by one; should one fail, those before it go back."""

    places: Sequence[str]
    token: str
    now: datetime
    owner: Ownership
    shortfalls: Shortfalls
    exchanged: list[Exchanged] = field(default_factory=list)
    folders: list[FolderBefore] = field(default_factory=list)

    def run(self) -> None:
        """:raises RestoreError: nothing was exchanged, or all of it went back."""
        with ExitStack() as stack:
            areas = [
                stack.enter_context(opened(Folder.from_text(place), self.token)) for place in self.places
            ]
            for area in areas:
                _refuse_unready(area)
            self._exchange(areas)
            for place, area in zip(self.places, areas, strict=True):
                # The names have changed hands: nothing here may hide how they are taken back.
                try:
                    os.fsync(area.live)
                    area.remove()
                    self._give_folder(place, area)
                except OSError as error:
                    log.warning("%s: after the swap: %s", shown(area.path.strip(b"/")), error)

    def _prepare(self, place: str, area: Area) -> None:
        # What was restored is durable before any name leads to it.
        flush(area.folder)
        folder = Folder.from_text(place)
        replacements = []
        for one in area.journal.replacements:
            free = exchange.free_name(
                area.live, partial(_aside, one.name, self.now, _hidden(folder, area.live, one.name))
            )
            replacements.append(replace(one, kept=free))
        area.write(replace(area.journal, state=SWAPPING, replacements=tuple(replacements)))

    def _exchange(self, areas: Sequence[Area]) -> None:
        done: list[tuple[Area, Replacement, bool]] = []
        begun: tuple[Area, Replacement] | None = None
        try:
            for place, area in zip(self.places, areas, strict=True):
                self._prepare(place, area)
            for area in areas:
                for one in area.journal.replacements:
                    begun = area, one
                    done.append((area, one, exchange.replace(area.live, area.new, one)))
        except BaseException as error:
            if begun is not None and (not done or done[-1][:2] != begun):
                # Whoever stops us may do so between two steps.
                exchange.take_back(begun[0].live, begun[0].new, begun[1])
            _take_back(areas, done)
            if isinstance(error, OSError):
                raise refused(error, areas[0].live_path) from error
            raise
        for place, area in zip(self.places, areas, strict=True):
            self.exchanged += [
                Exchanged(
                    place=place,
                    name=quote_from_bytes(one.name),
                    kept=quote_from_bytes(one.kept) if there_was else "",
                    inode=one.staged,
                )
                for other, one, there_was in done
                if other is area
            ]

    def _give_folder(self, place: str, area: Area) -> None:
        """To a folder that stayed, what the backup says of it; its mtime last of all."""
        if not area.journal.folder:
            return
        found = os.fstat(area.live)
        self.folders.append(
            FolderBefore(place, stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, found.st_mtime_ns)
        )
        entry = Entry.from_line(area.journal.folder.encode())
        give(area.live, entry, owner=self.owner, shortfalls=self.shortfalls)


def _take_back(areas: Sequence[Area], done: Sequence[tuple[Area, Replacement, bool]]) -> None:
    for area, one, there_was in reversed(done):
        exchange.put_back(area.live, area.new, one, there_was=there_was)
    for area in areas:
        if area.journal.state == SWAPPING:
            area.advance(VALIDATED)


@contextmanager
def opened(folder: Folder, token: str) -> Iterator[Area]:
    """The area of a restore in that live folder. :raises RestoreError: it is gone, or in use."""
    try:
        live = folder.open()
    except OSError as error:
        raise refused(error, folder.path) from error
    with open_area(live, folder.path, staging_name(token)) as area:
        yield area


def go_back(
    done: Sequence[Exchanged], folders: Sequence[FolderBefore], *, now: datetime
) -> tuple[Exchanged, ...]:
    """Exchange the same names again: a swap like any other. What a killed one had done is not done twice.

    :returns: what leads back once more.
    :raises RestoreError: a former file is gone, or a name cannot be exchanged; says which are back.
    """
    back: list[Exchanged] = []
    failed: list[tuple[Exchanged, OSError]] = []
    for one in reversed(done):
        folder = Folder.from_text(one.place)
        try:
            live = folder.open()
            try:
                back.append(_one_back(live, one, now))
                os.fsync(live)
            finally:
                os.close(live)
        except OSError as error:
            # The others are put back all the same.
            failed.append((one, error))
    for before in folders:
        live = Folder.from_text(before.place).open()
        try:
            os.fchown(live, before.uid, before.gid)
            os.fchmod(live, before.mode)
            os.utime(live, ns=(before.mtime_ns, before.mtime_ns))
        except PermissionError as error:
            # Another user's folder, in which we may write: its names are what matters.
            log.warning("%s keeps its mode and owner: %s", before.place, error)
        finally:
            os.close(live)
    if failed:
        one, reason = failed[0]
        names = ", ".join(unquote_to_bytes(other.name).decode(errors="replace") for other in back) or "none"
        raise RestoreError(
            f"{shown(Folder.from_text(one.place).path.strip(b'/'))}: {one.name} cannot be put back: "
            f"{reason.strerror}",
            hint=f"back are: {names}; mend what is named, then swap back again",
        ) from reason
    return tuple(reversed(back))


def _one_back(live: int, one: Exchanged, now: datetime) -> Exchanged:
    name, kept = unquote_to_bytes(one.name), unquote_to_bytes(one.kept)
    hidden = _hidden(Folder.from_text(one.place), live, name)
    aside = exchange.free_name(live, partial(_aside, name, now, hidden))
    if kept and not exists(live, kept) and inode(live, name) == (tuple(one.inode) if one.inode else None):
        raise FileNotFoundError(errno.ENOENT, "what it had replaced is gone", os.fsdecode(kept))
    if one.inode is None:
        if exists(live, kept):
            move(live, kept, live, name)
        return replace(one, kept="", inode=inode(live, name))
    if not kept:
        if inode(live, name) is not None:
            move(live, name, live, aside)
        return replace(one, kept=quote_from_bytes(aside), inode=None)
    if exists(live, kept):
        former = inode(live, kept)
        if former == tuple(one.inode) or exchanged(live, kept, live, name):
            move(live, kept, live, aside)
        else:
            move(live, name, live, aside)
            move(live, kept, live, name)
    return replace(one, kept=quote_from_bytes(aside), inode=inode(live, name))


def _aside(name: bytes, now: datetime, hidden: bool, number: int) -> bytes:
    return kept_name(name, now, hidden=hidden, number=number)


def _refuse_unready(area: Area) -> None:
    place = shown(area.path.strip(b"/"))
    if area.journal.state == SWAPPING:
        raise RestoreError(
            f"the swap of what lies in {place} was interrupted",
            hint="restore beside once more: that says which names are restored, and keeps what they replaced",
        )
    if area.journal.state != VALIDATED:
        raise RestoreError(f"what lies in {place} was not validated", hint="validate first, then swap")
    for one in area.journal.replacements:
        if one.staged is not None and inode(area.new, one.name) != one.staged:
            raise RestoreError(
                f"{one.name!r} in {place} is not what was validated", hint="restore beside once more"
            )


def _hidden(folder: Folder, live: int, name: bytes) -> bool:
    """Whether what had that name is kept under a hidden one: all but folders that are whole roots."""
    try:
        is_folder = stat.S_ISDIR(os.stat(name, dir_fd=live, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        is_folder = False
    return bool(folder.below) or not is_folder
