"""The exposition of many targets, of which only what has changed is written anew."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.commands.metrics.exposition import exposition
from backstop.commands.metrics.families import add_general, add_target, known_targets
from backstop.commands.metrics.series import SERIES
from backstop.commands.metrics.sheet import Sheet

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from prometheus_client.samples import Sample

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
        self._kept: dict[tuple[str, str], _Written] = {}

    def text(
        self,
        observations: Iterable[Observation],
        findings: Iterable[Finding],
        *,
        now: datetime,
        targets: Collection[str] | None,
        pools: Mapping[str, int] | None = None,
        paused: Mapping[str, str] | None = None,
        accept: str = "",
    ) -> tuple[bytes, str]:
        """See :func:`~backstop.commands.metrics.families.metric_families` and ``exposition``."""
        known = tuple(known_targets(observations, findings, now=now, targets=targets))
        general = Sheet()
        add_general(general, self._version, pools or {}, paused or {})
        head, content_type = exposition(general.families(), accept=accept)
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
        former = self._kept.get(key) or _Written(None, {}, {})
        if former.known is not None and _same(former.known, known):
            return former.lines
        sheet = Sheet()
        add_target(sheet, known)
        samples = {family.name: family for family in sheet.families()}
        # From one look to the next most of what is known stays as it was, and writing costs most.
        new = [one for one in samples.values() if one.samples != former.samples.get(one.name)]
        written = _by_series(exposition(new, accept=accept)[0]) if new else {}
        lines = {name: written.get(name) or former.lines[name] for name in samples}
        self._kept[key] = _Written(known, {name: one.samples for name, one in samples.items()}, lines)
        return lines


@dataclass(frozen=True, slots=True)
class _Written:
    """``samples`` of ``known`` by the name of their series, and the ``lines`` that say so."""

    known: KnownTarget | None
    samples: Mapping[str, Sequence[Sample]]
    lines: Mapping[str, bytes]


def _same(former: KnownTarget, now: KnownTarget) -> bool:
    # An observation that has not changed is the same object: comparing documents would cost what it saves.
    return former.seen is now.seen and (former.configured, former.stale, former.findings) == (
        now.configured,
        now.stale,
        now.findings,
    )


def _header(name: str, documentation: str) -> bytes:
    return f"# HELP {name} {documentation}\n# TYPE {name} gauge\n".encode()


def _by_series(text: bytes) -> Mapping[str, bytes]:
    """The lines of samples by the name of their series. A line break inside a label's value is escaped."""
    found = {}
    for part in text.removesuffix(_END).removeprefix(b"# HELP ").split(b"\n# HELP "):
        head, _, lines = part.split(b"\n", 2)
        found[head.split(b" ", 1)[0].decode()] = lines.removesuffix(b"\n") + b"\n"
    return found
