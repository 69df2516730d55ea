"""One task of a watch, as Airflow runs it: ``watching_step.py MINUTES TARGET…``, so many minutes from now.

Prints how many targets and findings there were, and what the watch itself cost, without loading Airflow.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime, timedelta, timezone

from backstop.operators import watch as watching


def main(minutes: str, *targets: str) -> None:
    later = timedelta(minutes=int(minutes))
    watching.utc_now = lambda: datetime.now(timezone.utc) + later
    task = watching.WatchTargetsOperator(task_id="watch", targets=list(targets))
    began, cpu = time.perf_counter(), time.process_time()
    counts = task.execute({})
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(json.dumps({**counts, "seconds": seconds, "cpu_seconds": cpu}))


if __name__ == "__main__":
    main(*sys.argv[1:])
