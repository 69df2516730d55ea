"""A page that must answer. It is asked again until it does, or its time is over."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from backstop.commands.target_command import without_secrets
from backstop.model.figures import duration_in_words
from backstop.model.measured import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx

    from backstop.targets.probes import HttpProbe

_PAUSE_SECONDS = 0.5
_MOST_BYTES = 4 * 1024 * 1024
_ONE_ANSWER_SECONDS = 30.0


def ask_page(probe: HttpProbe, *, secrets: Sequence[str]) -> tuple[Outcome, str, tuple[str, ...]]:
    """Redirects are answers, and are not followed; no proxy and no password of this worker's is used.

    What stands in the page is not repeated, nor is what follows the ``?`` of its address.
    """
    import httpx

    deadline = time.monotonic() + probe.timeout.total_seconds()
    tries, wrong = 0, "it was not asked"
    # trust_env: no proxy of the environment, and no ~/.netrc.
    with httpx.Client(trust_env=False, follow_redirects=False) as client:
        while tries == 0 or time.monotonic() < deadline:
            tries += 1
            left = max(deadline - time.monotonic(), 0.001)
            try:
                wrong = _ask(client, probe, min(left, _ONE_ANSWER_SECONDS), deadline)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                wrong = without_secrets(" ".join(str(error).split()) or type(error).__name__, secrets)
            if not wrong:
                return Outcome.PASSED, f"probe {probe.name!r}: {_shown(probe)} answered {probe.status}", ()
            time.sleep(max(0.0, min(_PAUSE_SECONDS, deadline - time.monotonic())))
    return (
        Outcome.FAILED,
        f"probe {probe.name!r}: {_shown(probe)} did not answer as expected within "
        f"{duration_in_words(probe.timeout)}: {wrong}",
        (f"asked {tries} {'time' if tries == 1 else 'times'}",),
    )


def _ask(client: httpx.Client, probe: HttpProbe, limit_seconds: float, deadline: float) -> str:
    """What is wrong with the answer, in words; empty when nothing is."""
    with client.stream("GET", probe.url, timeout=limit_seconds) as answer:
        if answer.status_code != probe.status:
            return f"it answered {answer.status_code} instead of {probe.status}"
        if probe.contains is None:
            return ""
        body = bytearray()
        for part in answer.iter_bytes():
            body += part
            # A page that trickles for ever keeps every single read within its limit.
            if len(body) >= _MOST_BYTES or time.monotonic() > deadline:
                break
        text = body.decode(answer.charset_encoding or "utf-8", errors="replace")
    return "" if probe.contains in text else f"it does not contain {probe.contains!r}"


def _shown(probe: HttpProbe) -> str:
    parts = urlsplit(probe.url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"
