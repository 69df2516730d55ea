"""The newest backups of a target, without reading the manifests of all others."""

from __future__ import annotations

import heapq
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.errors import IntegrityError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backstop.model.backup import BackupLabel
    from backstop.repository.catalog import Catalog, Published

_CLOCKS_DIFFER = timedelta(days=1)


def newest_first(catalog: Catalog, *, wanted: Callable[[BackupLabel], bool]) -> Iterator[Published]:
    """Readable backups by ``finished_at``, the newest first; a manifest is read when its turn may have come.

    A manifest is put where it lies after its backup has finished, there or in another repository. So no
    manifest that is older, by the storage's clock, than a backup's end can be of a newer one; a day's
    difference between the clocks is allowed for. Damaged manifests are passed over
    (:meth:`~backstop.repository.catalog.Catalog.backups` shows them).

    :param wanted: by the label alone, before anything is read.
    """
    unread = sorted((at, label) for label, at in catalog.labels() if wanted(label))
    read: list[tuple[float, str, Published]] = []
    while unread or read:
        latest_end = unread[-1][0] + _CLOCKS_DIFFER if unread else None
        if read and (latest_end is None or -read[0][0] >= latest_end.timestamp()):
            yield heapq.heappop(read)[2]
            continue
        try:
            published = catalog.backup(unread.pop()[1])
        except (IntegrityError, NotFoundError):
            continue
        manifest = published.manifest
        heapq.heappush(read, (-manifest.finished_at.timestamp(), str(manifest.label), published))
