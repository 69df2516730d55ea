"""The command line in a process of its own that knows nothing of Airflow, as after Airflow's own loss."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backstop.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from backstop.credentials import Credential, CredentialSource

PLUGINS = Path(__file__).resolve().parents[2]
_AIRFLOWS = ("AIRFLOW", "_AIRFLOW")


def run_command_line(
    arguments: Sequence[str],
    *,
    credentials: CredentialSource,
    conn_ids: Sequence[str],
    folder: Path,
    say: Callable[[str], None],
    environment: Mapping[str, str] | None = None,
) -> Any:
    """``python -m backstop <arguments> --json``: what it printed, whatever code it ended with.

    :param conn_ids: the only connections it is given, in a 0600 file that is gone afterwards.
    :param folder: a new one for that file; :func:`forget_credentials` removes it after a kill.
    :param say: gets each line of its standard error.
    :param environment: ours, unless given; nothing of Airflow's is handed on.
    :raises ToolError: it printed no document.
    """
    from backstop.postgres.process import run_tool

    given = os.environ if environment is None else environment
    with credentials_file(folder, [credentials.get(name) for name in conn_ids]) as file:
        answer = folder / "answer.json"
        env = {name: value for name, value in given.items() if not name.startswith(_AIRFLOWS)}
        env |= {"PYTHONPATH": str(PLUGINS), "BACKSTOP_CREDENTIALS": str(file), "PYTHONUNBUFFERED": "1"}
        argv = [sys.executable, "-m", "backstop", *arguments, "--json"]
        try:
            run_tool(argv, env=env, on_line=say, stdout_to=answer)
        except ToolError:
            # A drill that did not pass ends with an exit code of its own, and with its record.
            if not (document := _document(answer)) or "error" in document:
                raise
            return document
        document = _document(answer)
    if document is None:
        raise ToolError(
            f"`python -m backstop {arguments[0]}` printed no document", hint="see what it said before"
        )
    return document


@contextmanager
def credentials_file(folder: Path, known: Sequence[Credential]) -> Iterator[Path]:
    """A file that :class:`~backstop.credentials.FileCredentials` reads, for as long as this lasts.

    What a killed one left is removed before; a folder of somebody else's, or a link, is never used.
    """
    forget_credentials(folder)
    folder.mkdir(mode=0o700)
    try:
        path = folder / "connections.json"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({one.conn_id: _fields(one) for one in known}, file)
        yield path
    finally:
        forget_credentials(folder)


def credentials_folder(drill_id: str) -> Path:
    """Where the file of one drill is, so that another process can remove it."""
    return Path(tempfile.gettempdir()) / f"backstop-{drill_id}"


def forget_credentials(folder: Path) -> None:
    """Remove what is left of it, if anything."""
    shutil.rmtree(folder, ignore_errors=True)


def _fields(one: Credential) -> dict[str, Any]:
    fields = {
        name: getattr(one, name) for name in ("conn_type", "host", "port", "login", "password", "schema")
    }
    return {name: value for name, value in fields.items() if value is not None} | {"extra": dict(one.extra)}


def _document(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
