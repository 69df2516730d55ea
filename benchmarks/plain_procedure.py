"""The plain procedure, as it is commonly written: ``pg_dump | gzip``, upload; download, ``gunzip | psql``.

    python benchmarks/plain_procedure.py back-up --file full.sql.gz --bucket B --key K
    python benchmarks/plain_procedure.py restore --file full.sql.gz --bucket B --key K --dbname NEW

PostgreSQL is found through the usual PG… variables, S3 through AWS_… ones. The upload is ``aws s3 cp``'s: the
same transfer library with the same defaults (8 MiB parts, 10 at a time). Every process is checked here, which
the original does not do; that costs nothing.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any


def back_up(file: Path, *, bucket: str, key: str) -> None:
    with file.open("wb") as stream:
        dump = subprocess.Popen(["pg_dump"], stdout=subprocess.PIPE)  # noqa: S607
        gzip = subprocess.Popen(["gzip"], stdin=dump.stdout, stdout=stream)  # noqa: S607
    _finish(dump, gzip)
    _s3().upload_file(str(file), bucket, key)


def restore(file: Path, *, bucket: str, key: str, dbname: str) -> None:
    _s3().download_file(bucket, key, str(file))
    subprocess.run(["createdb", "-T", "template0", dbname], check=True)  # noqa: S607
    gunzip = subprocess.Popen(["gunzip", "-c", str(file)], stdout=subprocess.PIPE)  # noqa: S607
    psql = subprocess.Popen(
        ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", dbname],  # noqa: S607
        stdin=gunzip.stdout,
    )
    _finish(gunzip, psql)


def _finish(first: subprocess.Popen[bytes], second: subprocess.Popen[bytes]) -> None:
    assert first.stdout is not None
    first.stdout.close()
    for process in (second, first):
        if process.wait():
            raise SystemExit(f"{process.args!r} ended with {process.returncode}")


def _s3() -> Any:
    import boto3

    return boto3.client("s3")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("verb", choices=["back-up", "restore"])
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--bucket", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--dbname", help="database to create and restore into")
    options = parser.parse_args()
    if options.verb == "back-up":
        back_up(options.file, bucket=options.bucket, key=options.key)
    else:
        restore(options.file, bucket=options.bucket, key=options.key, dbname=options.dbname)
    return 0


if __name__ == "__main__":
    sys.exit(main())
