"""``python -m embedded.sample``: load the sample database into a running cluster."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from backstop.errors import BackstopError, ConfigurationError
from backstop.postgres.connection import ClusterConnection
from embedded.sample.database import DBNAME, DEFAULT_SEED, load
from embedded.sample.trees import write_config, write_media


def main(arguments: list[str] | None = None) -> int:
    """Exit codes are those of ``backstop.errors``."""
    parser = argparse.ArgumentParser(prog="python -m embedded.sample", description=__doc__)
    parser.add_argument(
        "--dsn-from",
        type=Path,
        required=True,
        help="file whose first line is a superuser's connection string (URI or key=value)",
    )
    parser.add_argument("--scale", type=float, default=1.0, help="1 is about 100 MB (default: %(default)g)")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    parser.add_argument("--dbname", default=DBNAME)
    parser.add_argument(
        "--app-password-from", type=Path, help="file whose first line is calibrify_app's password"
    )
    parser.add_argument("--media", type=Path, help="also write the media tree here")
    parser.add_argument("--config", type=Path, help="also write the configuration tree here")
    options = parser.parse_args(arguments)
    try:
        connection = _connection(_first_line(options.dsn_from))
        password = _first_line(options.app_password_from) if options.app_password_from else None
        done = load(
            connection,
            scale=options.scale,
            seed=options.seed,
            app_password=password,
            dbname=options.dbname,
            progress=lambda step: print(f"  {step}", flush=True),
        )
        print(f"{done.dbname}: {done.size_bytes / 1e6:.0f} MB in {done.seconds:.1f} s")
        if options.media:
            print(f"{write_media(options.media, scale=options.scale, seed=options.seed)} media files")
        if options.config:
            print(f"{write_config(options.config)} configuration files")
    except BackstopError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").partition("\n")[0].strip()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}", hint="name a readable file") from error


def _connection(dsn: str) -> ClusterConnection:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        given = {name: str(value) for name, value in conninfo_to_dict(dsn).items() if value is not None}
    except psycopg.Error:
        # The parser's own words quote the string, which may hold a password.
        raise ConfigurationError(
            "the connection string does not parse",
            hint="expected postgresql://user:password@host:port/dbname",
        ) from None
    return ClusterConnection(
        host=given.pop("host", "localhost"),
        port=int(given.pop("port", "5432")),
        user=given.pop("user", "postgres"),
        dbname=given.pop("dbname", "postgres"),
        password=given.pop("password", None),
        sslmode=given.pop("sslmode", None),
        options=given,
    )


if __name__ == "__main__":
    sys.exit(main())
