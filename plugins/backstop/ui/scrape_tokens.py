"""Who may scrape: bearers of a token from a file that only we can read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from fastapi import Response

from backstop.crypto.key_files import read_key_file
from backstop.errors import BackstopError

TOKEN_FILE = "BACKSTOP_METRICS_TOKEN_FILE"  # noqa: S105 the variable's name


class ScrapeTokens:
    """One token a line; several while one replaces another. Read anew each time: no restart.

    :param path: of the file; None: nobody may scrape.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path

    @classmethod
    def of_environment(cls) -> ScrapeTokens:
        """Those of the file that ``BACKSTOP_METRICS_TOKEN_FILE`` names."""
        named = os.environ.get(TOKEN_FILE)
        return cls(Path(named) if named else None)

    def refusal(self, authorization: str) -> Response | None:
        """None: come in. 503: no token is set up; 401: none was sent; 403: another one was."""
        try:
            known = self._known()
        except BackstopError as error:
            return _refused(503, str(error))
        if not known:
            return _refused(
                503, f"no token is set up: let {TOKEN_FILE} name a file of mode 0600 that holds one"
            )
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() != "bearer" or not given.strip():
            return _refused(401, "send the token: Authorization: Bearer <token>")
        # Every one is compared, each in constant time: how long it takes tells nothing.
        same = [secrets.compare_digest(given.strip().encode(), one) for one in known]
        return None if any(same) else _refused(403, "this token is not, or no longer, one of ours")

    def _known(self) -> list[bytes]:
        if self._path is None:
            return []
        lines = read_key_file(self._path, what="metrics token file").splitlines()
        return [line.strip() for line in lines if line.strip() and not line.startswith(b"#")]


def _refused(status: int, text: str) -> Response:
    headers = {"WWW-Authenticate": 'Bearer realm="backstop"'} if status == 401 else {}
    return Response(f"{text}\n", status_code=status, media_type="text/plain", headers=headers)
