"""The distribution's Prometheus, scraping one address, with our alert rules."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from urllib.request import urlopen

from embedded.ports import free_ports
from embedded.process import tether

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRAM = shutil.which("prometheus")
RULES = Path(__file__).resolve().parents[1] / "include" / "prometheus" / "alerts.yml"


def impatient(rules: str) -> str:
    """The same rules, waiting a second where ours wait minutes; expressions stay what they are."""
    return re.sub(r"^( +for): \w+$", r"\1: 1s", rules, flags=re.MULTILINE)


class PrometheusServer:
    """On loopback, with a data directory of its own; it ends with the process that started it.

    :param address: ``127.0.0.1:8080``, scraped each second at /backstop/metrics with ``token``.
    """

    def __init__(self, directory: Path, *, address: str, token: str) -> None:
        self._port = free_ports(1)[0]
        self._directory = directory
        directory.mkdir(exist_ok=True)
        (directory / "alerts.yml").write_text(impatient(RULES.read_text()))
        (directory / "token").write_text(token)
        configuration = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["alerts.yml"],
            "scrape_configs": [
                {
                    "job_name": "backstop",
                    "metrics_path": "/backstop/metrics",
                    "authorization": {"credentials_file": "token"},
                    "static_configs": [{"targets": [address]}],
                }
            ],
        }
        # JSON is YAML.
        (directory / "prometheus.yml").write_text(json.dumps(configuration))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> PrometheusServer:
        assert PROGRAM is not None
        argv = [
            *tether("TERM"),
            PROGRAM,
            f"--config.file={self._directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self._port}",
            "--log.level=warn",
        ]
        with (self._directory / "log").open("wb") as log:
            self._process = subprocess.Popen(argv, stdout=log, stderr=log)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(timeout=20)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What it is now."""
        result = self._get("query", query=expression)["result"]
        assert isinstance(result, list)
        return result

    def alerts(self) -> set[tuple[str, str]]:
        """Names and targets of those that fire."""
        return {
            (one["labels"]["alertname"], one["labels"].get("target", ""))
            for one in self._get("alerts")["alerts"]
            if one["state"] == "firing"
        }

    def evaluated_since(self, moment: datetime) -> bool:
        """Whether every rule was evaluated after then."""
        groups = self._get("rules")["groups"]
        # Nanoseconds are more than Python reads.
        last = [re.sub(r"(\.\d{6})\d*", r"\1", one["lastEvaluation"]) for one in groups]
        return all(datetime.fromisoformat(one.replace("Z", "+00:00")) > moment for one in last)

    def wait_until(
        self, condition: Callable[[], bool], why: Callable[[], object], seconds: float = 40
    ) -> None:
        """Ask again and again; ``why`` says what is wrong when the time is up."""
        deadline = time.monotonic() + seconds
        while not self._holds(condition):
            assert time.monotonic() < deadline, f"{why()}\n{(self._directory / 'log').read_text()}"
            time.sleep(0.1)

    def _holds(self, condition: Callable[[], bool]) -> bool:
        try:
            return condition()
        except OSError:
            return False  # it is starting

    def _get(self, what: str, **parameters: str) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self._port}/api/v1/{what}?{urlencode(parameters)}"
        with urlopen(url, timeout=5) as answer:
            document = json.load(answer)
        assert document["status"] == "success"
        data = document["data"]
        assert isinstance(data, dict)
        return data
