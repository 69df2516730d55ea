"""A folder or a zip that is written file by file and appears whole, or not at all."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from backstop.errors import ConfigurationError
from backstop.model.canonical import sha256_hex

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

SUMS = "SHA256SUMS"


@dataclass(slots=True)
class Bundle:
    """What goes in. :param sums: SHA-256 by name, in the order of writing."""

    folder: Path
    sums: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, content: bytes | str) -> None:
        """:param name: with ``/``, such as ``records/near/00000001.json``."""
        body = content.encode() if isinstance(content, str) else content
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        self.sums[name] = sha256_hex(body)


@contextmanager
def new_bundle(out: Path, *, made_at: datetime) -> Iterator[Bundle]:
    """Write into it; at the end of the block it is there under its name, with ``SHA256SUMS`` of all in it.

    :param out: ``….zip``, or a new folder. :param made_at: what the zip says of its files.
    :raises ConfigurationError: something is there already, or it cannot be written.
    """
    if out.exists():
        raise ConfigurationError(f"{out} is there already", hint="name another file: nothing is overwritten")
    try:
        with tempfile.TemporaryDirectory(prefix=".evidence-", dir=out.parent) as temporary:
            bundle = Bundle(Path(temporary) / "bundle")
            bundle.folder.mkdir()
            yield bundle
            lines = "".join(f"{sha256}  {name}\n" for name, sha256 in bundle.sums.items())
            (bundle.folder / SUMS).write_text(lines, encoding="utf-8")
            if out.suffix == ".zip":
                packed = Path(temporary) / "bundle.zip"
                _pack(bundle.folder, [*bundle.sums, SUMS], packed, made_at)
                packed.rename(out)
            else:
                shutil.move(bundle.folder, out)
    except OSError as error:
        raise ConfigurationError(
            f"{out} cannot be written: {error.strerror or error}", hint="name a folder that you may write to"
        ) from error


def _pack(folder: Path, names: list[str], packed: Path, made_at: datetime) -> None:
    moment = (made_at.year, made_at.month, made_at.day, made_at.hour, made_at.minute, made_at.second)
    with zipfile.ZipFile(packed, "x") as archive:
        for name in names:
            member = zipfile.ZipInfo(name, date_time=moment)
            member.external_attr = 0o644 << 16
            archive.writestr(member, (folder / name).read_bytes(), compress_type=zipfile.ZIP_DEFLATED)
