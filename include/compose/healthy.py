"""Is this service well? The health checks of docker-compose.yaml: exit code 0 if so, else 1 with a reason.

Small on purpose: Airflow's own checks import Airflow, which costs a core several seconds each time.

    healthy.py http URL            it answers with success
    healthy.py airflow PART        the API server says so of scheduler, dag_processor or triggerer
    healthy.py worker KIND         Celery's worker KIND@this host answers through the broker
    healthy.py receivers LIST      each file of LIST says of lately that a WAL receiver receives and stores
"""

from __future__ import annotations

import json
import socket
import sys
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path

_AIRFLOW = "http://api-server:8080/api/v2/monitor/health"
_LATELY = timedelta(seconds=60)


def http(url: str) -> str:
    """Empty, or what is wrong; so do all of these."""
    _get(url)
    return ""


def airflow(part: str) -> str:
    status = json.loads(_get(_AIRFLOW))[part]["status"]
    return "" if status == "healthy" else f"{part} is {status}"


def worker(kind: str) -> str:
    from celery import Celery

    name = f"{kind}@{socket.gethostname()}"
    app = Celery(broker=Path("/run/secrets/broker_url").read_text().strip())
    return "" if app.control.ping(destination=[name], timeout=15) else f"{name} does not answer"


def receivers(list_of_files: str) -> str:
    for file in map(Path, json.loads(Path(list_of_files).read_text())):
        if problem := _receiver(file):
            return f"{file.stem}: {problem}"
    return ""


def _receiver(status_file: Path) -> str:
    if not status_file.exists():
        return "it has said nothing yet"
    state = json.loads(status_file.read_text())
    age = datetime.now(timezone.utc) - datetime.fromisoformat(state["at"].replace("Z", "+00:00"))
    if age > _LATELY:
        return f"it has said nothing for {age.total_seconds():.0f} s"
    if not state["connected"]:
        return f"not connected: {state['last_error']}"
    errors = [one["error"] for one in state["repositories"].values()]
    return f"no repository takes WAL: {errors[0]}" if errors and all(errors) else ""


def _get(url: str) -> bytes:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=8) as answer:
        return bytes(answer.read())


def main(what: str, which: str) -> int:
    """0 it is well; 1 it is not, or does not answer."""
    checks = {"http": http, "airflow": airflow, "worker": worker, "receivers": receivers}
    try:
        problem = checks[what](which)
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
    if problem:
        print(problem, file=sys.stderr)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
