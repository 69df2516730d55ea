"""A copy of a server's files has its system identifier too, and is told by the WAL that it does not have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.errors import SourceError
from backstop.model.lsn import Lsn

if TYPE_CHECKING:
    from backstop.model.backup import Manifest


def refuse_earlier(manifest: Manifest, repository: str, *, timeline: int | None, lsn: Lsn, verb: str) -> None:
    """A server never goes back: one that is behind its own newest backup is another one, or an earlier state.

    A standby that was promoted, and a recovery to a point in time, begin a timeline, which counts first.

    :param manifest: of the newest backup of that cluster there.
    :param timeline: and :param lsn: where the server stands; None: nobody may know, and nothing is compared.
    :param verb: and options, of what is to be allowed once.
    :raises SourceError: it was taken further on than the server has come.
    """
    if timeline is None or manifest.timeline is None or manifest.end_lsn is None:
        return
    if (manifest.timeline, Lsn.parse(manifest.end_lsn)) <= (timeline, lsn):
        return
    raise SourceError(
        f"{manifest.label} of {manifest.target} in {repository} was taken at {manifest.end_lsn} on timeline "
        f"{manifest.timeline}, and this server of the same system identifier has only come to {lsn} on "
        f"timeline {timeline}: it is a copy of that one, or was put back to an earlier state",
        hint="give a copy another target, or another repository (docs/upgrading.md); should this one have "
        f"taken the other's place, say so once: `python -m backstop {verb} --target {manifest.target} "
        f"--new-cluster {manifest.system_id}`",
    )
