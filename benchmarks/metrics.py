"""How long a scrape of 100 targets takes: nothing new, half of them watched since, all of them, the first.

    python benchmarks/metrics.py

The inventory is a PostgreSQL of its own with a year of made-up history; each figure is the median of several
scrapes, over a kept session as in the API server. Needs the checkout's test dependencies.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "plugins"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from backstop.commands.metrics.kept_text import KeptText
from backstop.commands.metrics.reading import Reader
from backstop.repository.observations import Observations
from backstop.ui.inventory import InventoryConnection
from embedded.postgres import EmbeddedPostgres, pip_postgres_bin
from tests.fleet import populate

if TYPE_CHECKING:
    from backstop.model.observation import Observation

REPEATED = 15
NOW = datetime.now(timezone.utc)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="backstop-metrics-") as folder, ExitStack() as stack:
        Path(folder).chmod(0o711)
        server = EmbeddedPostgres(Path(folder) / "server", bin_dir=pip_postgres_bin(18), die_with_parent=True)
        stack.enter_context(server)
        inventory = server.connection("postgres")
        names = populate(inventory, targets=100, now=NOW)
        connection = InventoryConnection.to(inventory)
        table = Observations(inventory)
        for title, replaced in (("nothing new", 0), ("50 watched since", 50), ("all watched since", 100)):
            reader, text = Reader(), KeptText("benchmark")
            scrape(connection, reader, text, names)
            took = []
            for number in range(REPEATED):
                table.store(looked_again(one, number) for one in table.all()[:replaced])
                took.append(scrape(connection, reader, text, names))
            report(title, took)
        report(
            "first scrape", [scrape(connection, Reader(), KeptText("new"), names) for _ in range(REPEATED)]
        )


def looked_again(seen: Observation, number: int) -> Observation:
    """What changes from one look to the next when nothing has happened but five minutes of work."""
    later = timedelta(milliseconds=number + 1)
    wal = seen.wal and replace(
        seen.wal,
        observed_rpo=dict.fromkeys(seen.wal.observed_rpo, later),
        behind_bytes=dict.fromkeys(seen.wal.behind_bytes, number),
        slot=seen.wal.slot and replace(seen.wal.slot, retained_bytes=number),
    )
    return replace(
        seen,
        observed_at=seen.observed_at + later,
        took_seconds=seen.took_seconds + 0.01,
        components=tuple(replace(one, loss=one.loss and one.loss + later) for one in seen.components),
        repositories=tuple(replace(one, answer_seconds=0.01 + number / 1000) for one in seen.repositories),
        windows=tuple(replace(one, ends_at=one.ends_at + later) for one in seen.windows),
        wal=wal,
        clock_offsets=dict.fromkeys(seen.clock_offsets, number / 1000),
    )


def scrape(
    connection: InventoryConnection, reader: Reader, text: KeptText, names: list[str]
) -> tuple[float, float]:
    """Seconds by the clock and of CPU."""
    began, cpu = time.perf_counter(), time.process_time()
    observations, findings = reader.read(connection)
    text.text(observations, findings, now=NOW, targets=names)
    return time.perf_counter() - began, time.process_time() - cpu


def report(title: str, took: list[tuple[float, float]]) -> None:
    clock, cpu = (statistics.median(one) * 1000 for one in zip(*took, strict=True))
    print(f"{title:18} {clock:7.1f} ms, of CPU {cpu:6.1f} ms")


if __name__ == "__main__":
    main()
