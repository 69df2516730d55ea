"""Logins and passwords by connection id, from the same places and in the same forms as Airflow reads them.

With Airflow running, ``hooks/credentials.py`` reads its connections instead. No secret gets into a repr or
an error: what cannot be parsed is named by its connection id, never quoted.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from backstop.errors import ConfigurationError
from backstop.postgres.connection import ClusterConnection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from backstop.model.access import AccessRole

FILE_VARIABLE = "BACKSTOP_CREDENTIALS"
_EXTRA = "__extra__"

_LIBPQ_OPTIONS = {
    "channel_binding", "gssencmode", "hostaddr", "krbsrvname", "require_auth", "ssl_max_protocol_version",
    "ssl_min_protocol_version", "sslcert", "sslcertmode", "sslcrl", "sslkey", "sslnegotiation",
    "sslrootcert", "sslsni", "target_session_attrs",
}  # fmt: skip
# Ours are set by ClusterConnection; the rest steers Airflow's own hook.
_IGNORED_OPTIONS = {
    "application_name", "client_encoding", "connect_timeout", "cursor", "keepalives", "keepalives_count",
    "keepalives_idle", "keepalives_interval", "tcp_user_timeout",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Credential:
    """One connection, as Airflow models it. ``schema`` is the database of a PostgreSQL connection."""

    conn_id: str
    conn_type: str = ""
    host: str | None = None
    port: int | None = None
    login: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    schema: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)


class CredentialSource(Protocol):
    """Where credentials come from."""

    def get(self, conn_id: str) -> Credential:
        """:raises ConfigurationError: no such connection, or it is malformed; says where it was sought."""
        ...


@dataclass(frozen=True, slots=True)
class RoleCredentials:
    """Credentials for one role: what opens a repository or a key takes that role's connection.

    :param source: where they come from, whatever the role.
    """

    source: CredentialSource
    role: AccessRole

    def get(self, conn_id: str) -> Credential:
        """:raises ConfigurationError: as :meth:`CredentialSource.get`."""
        return self.source.get(conn_id)


def in_role(credentials: CredentialSource, role: AccessRole) -> RoleCredentials:
    """The same credentials for another role: where one procedure does what two roles do."""
    source = credentials.source if isinstance(credentials, RoleCredentials) else credentials
    return RoleCredentials(source, role)


def role_of(credentials: CredentialSource) -> AccessRole | None:
    """None: whoever asks has not said, and takes the connection that may do everything."""
    return credentials.role if isinstance(credentials, RoleCredentials) else None


class FileCredentials:
    """A file in the form of Airflow's LocalFilesystemBackend: ``{"conn_id": {...} or "uri"}``.

    JSON, or YAML when its name ends in ``.yaml`` or ``.yml``. Refused when anyone else can read it. Read
    when first asked.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._entries: Mapping[str, Any] | None = None

    def get(self, conn_id: str) -> Credential:
        if self._entries is None:
            self._entries = self._read()
        if conn_id not in self._entries:
            raise ConfigurationError(
                f"{self._path} has no connection {conn_id!r}",
                hint=f"add it; the file has: {', '.join(sorted(self._entries)) or 'none'}",
            )
        raw = self._entries[conn_id]
        if isinstance(raw, list) and len(raw) == 1:
            raw = raw[0]
        return parse_credential(conn_id, raw)

    def _read(self) -> Mapping[str, Any]:
        text = _read_private(self._path)
        document = _yaml(text) if self._path.suffix in (".yaml", ".yml") else _json(text)
        if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
            raise ConfigurationError(
                f"{self._path} is not a mapping of connection ids",
                hint='expected {"conn_id": {"conn_type": …, "host": …, "login": …, "password": …}}',
            )
        return document


class EnvironmentCredentials:
    """``AIRFLOW_CONN_<ID>`` in the environment: a URI or JSON."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment

    def get(self, conn_id: str) -> Credential:
        variable = f"AIRFLOW_CONN_{conn_id.upper()}"
        text = self._environment.get(variable)
        if not text:
            raise ConfigurationError(
                f"no credentials for connection {conn_id!r}: {variable} is not set",
                hint=f"set it, or name a 0600 file with connections in {FILE_VARIABLE}",
            )
        return parse_credential(conn_id, text)


def default_credentials(role: AccessRole) -> CredentialSource:
    """The file that ``BACKSTOP_CREDENTIALS`` names, else the environment.

    :param role: what for: of repositories and keys, the connections of this role alone are asked for.
    """
    path = os.environ.get(FILE_VARIABLE)
    return RoleCredentials(FileCredentials(Path(path)) if path else EnvironmentCredentials(), role)


def parse_credential(conn_id: str, raw: Any) -> Credential:
    """A connection from its URI, its JSON text or its mapping.

    :raises ConfigurationError: malformed; the value itself is not repeated.
    """
    if isinstance(raw, str):
        raw = _json(raw) if raw.lstrip().startswith("{") else _uri_fields(raw)
    if not isinstance(raw, dict):
        raise _malformed(conn_id, "is neither a URI nor a JSON object")
    port = raw.get("port")
    if port in (None, ""):
        port = None
    elif not str(port).isdecimal() or not 0 < int(port) < 65536:
        raise _malformed(conn_id, "has a port that is no number from 1 to 65535")
    extra = raw.get("extra") or raw.get("extra_dejson") or {}
    if isinstance(extra, str):
        extra = _json(extra)
    if not isinstance(extra, dict):
        raise _malformed(conn_id, "has an extra that is not a JSON object")
    texts = {name: raw.get(name) for name in ("conn_type", "host", "login", "password", "schema")}
    for name, value in texts.items():
        if value is not None and not isinstance(value, str):
            raise _malformed(conn_id, f"has a {name} that is not text")
    conn_type = (texts.pop("conn_type") or "").replace("-", "_")
    return Credential(
        conn_id=conn_id,
        conn_type="postgres" if conn_type == "postgresql" else conn_type,
        port=None if port is None else int(port),
        extra=extra,
        **{name: value or None for name, value in texts.items()},
    )


def postgres_connection(credential: Credential, dbname: str | None = None) -> ClusterConnection:
    """The connection to one database; ``dbname`` beats the one that the credential names.

    :raises ConfigurationError: not a PostgreSQL connection, or something in it is missing or not
        understood.
    """
    name = f"connection {credential.conn_id!r}"
    if credential.conn_type not in ("", "postgres"):
        raise ConfigurationError(
            f"{name} is of type {credential.conn_type!r}, not postgres", hint="name another conn_id"
        )
    database = dbname or credential.schema
    for what, value in (("host", credential.host), ("login", credential.login), ("database", database)):
        if not value:
            raise ConfigurationError(f"{name} has no {what}", hint="add it to the connection")
    if any(character in (credential.password or "") for character in "\r\n\0"):
        # Most often the end of the file that it was read from.
        raise ConfigurationError(
            f"{name} has a password with a line break in it, which no password file of PostgreSQL can hold",
            hint="take the line break out of the connection's password, or give the role another one",
        )
    options = {key: value for key, value in credential.extra.items() if key not in _IGNORED_OPTIONS}
    sslmode = options.pop("sslmode", None)
    # Dropping what is not understood could drop what makes the connection safe.
    if unknown := sorted(options.keys() - _LIBPQ_OPTIONS):
        raise ConfigurationError(
            f"{name} has extras that Backstop does not understand: {', '.join(unknown)}",
            hint=f"remove them; understood: sslmode, {', '.join(sorted(_LIBPQ_OPTIONS))}",
        )
    return ClusterConnection(
        host=credential.host or "",
        port=credential.port or 5432,
        user=credential.login or "",
        dbname=database or "",
        password=credential.password,
        sslmode=None if sslmode is None else str(sslmode),
        options={key: str(value) for key, value in options.items()},
    )


def _uri_fields(uri: str) -> dict[str, Any] | None:
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return None
    if not parts.scheme:
        return None
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    # Not parts.hostname: it lower-cases, and a socket directory keeps its case.
    place = parts.netloc.rpartition("@")[2]
    host = place[1 : place.index("]")] if place.startswith("[") and "]" in place else place.partition(":")[0]
    return {
        "conn_type": parts.scheme,
        "host": unquote(host),
        "port": port,
        "login": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "schema": unquote(parts.path[1:]),
        "extra": query.pop(_EXTRA, None) or query,
    }


def _malformed(conn_id: str, what: str) -> ConfigurationError:
    return ConfigurationError(
        f"connection {conn_id!r} {what}",
        hint="expected postgresql://login:password@host:5432/database with special characters "
        "percent-encoded, or the same as a JSON object",
    )


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None  # the caller says what is malformed; the error itself carries the text


def _yaml(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


def _read_private(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            status = os.fstat(file.fileno())
            mode = stat.S_IMODE(status.st_mode)
            if not stat.S_ISREG(status.st_mode) or mode & 0o077:
                raise ConfigurationError(
                    f"credentials file {path} is open to other users (mode {mode:04o})",
                    hint=f"chmod 600 {path}, and change passwords that others could have read",
                )
            return file.read()
    except FileNotFoundError:
        raise ConfigurationError(
            f"there is no credentials file {path}", hint=f"{FILE_VARIABLE} names it; correct it or unset it"
        ) from None
    except UnicodeDecodeError:
        raise ConfigurationError(
            f"credentials file {path} is not UTF-8 text", hint="save it as UTF-8"
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"credentials file {path} cannot be read: {error.strerror}",
            hint="run as the user who owns it",
        ) from None
