"""The exposition of many targets, of which only what has changed is written anew."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from backstop.commands.metrics.exposition import exposition
from backstop.commands.metrics.families import add_build, add_target, known_targets
from backstop.commands.metrics.series import SERIES
from backstop.commands.metrics.sheet import Sheet

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from datetime import datetime

    from backstop.commands.metrics.families import KnownTarget
    from backstop.model.finding import Finding
    from backstop.model.observation import Observation

_END = b"# EOF\n"
"""Of OpenMetrics alone."""


class KeptText:
    """The same text as ``exposition(metric_families(…))``.

    A watch comes every five minutes, a scrape every few seconds, and writing 12,000 samples takes longer than
    a scrape may.
    """

    def __init__(self, version: str) -> None:
        self._version = version
        self._turn = threading.Lock()
        self._kept: dict[tuple[str, str], tuple[KnownTarget, Mapping[str, bytes]]] = {}

    def text(
        self,
        observations: Iterable[Observation],
        findings: Iterable[Finding],
        *,
        now: datetime,
        targets: Collection[str] | None,
        accept: str = "",
    ) -> tuple[bytes, str]:
        """See :func:`~backstop.commands.metrics.families.metric_families` and ``exposition``."""
        known = tuple(known_targets(observations, findings, now=now, targets=targets))
        build = Sheet()
        add_build(build, self._version)
        head, content_type = exposition(build.families(), accept=accept)
        with self._turn:
            written = [self._written(one, accept, content_type) for one in known]
            names = {one.name for one in known}
            self._kept = {key: value for key, value in self._kept.items() if key[0] in names}
        parts = [head.removesuffix(_END)]
        for one in SERIES:
            samples = [lines for target in written if (lines := target.get(one.name))]
            if samples:
                parts += [_header(one.name, one.documentation), *samples]
        if head.endswith(_END):
            parts.append(_END)
        return b"".join(parts), content_type

    def _written(self, known: KnownTarget, accept: str, content_type: str) -> Mapping[str, bytes]:
        key = (known.name, content_type)
        former = self._kept.get(key)
        if former is not None and _same(former[0], known):
            return former[1]
        sheet = Sheet()
        add_target(sheet, known)
        written = {
            family.name: _samples(exposition([family], accept=accept)[0]) for family in sheet.families()
        }
        self._kept[key] = (known, written)
        return written


def _same(former: KnownTarget, now: KnownTarget) -> bool:
    # An observation that has not changed is the same object: comparing documents would cost what it saves.
    return former.seen is now.seen and (former.configured, former.stale, former.findings) == (
        now.configured,
        now.stale,
        now.findings,
    )


def _header(name: str, documentation: str) -> bytes:
    return f"# HELP {name} {documentation}\n# TYPE {name} gauge\n".encode()


def _samples(text: bytes) -> bytes:
    return text.removesuffix(_END).split(b"\n", 2)[2]
