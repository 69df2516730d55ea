"""The newest records of chains, as others remember them: other repositories, the inventory, an export."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

from backstop.errors import BackstopError, ConfigurationError
from backstop.model.evidence import ChainHead
from backstop.model.evidence_chain import KnownHead
from backstop.repository.evidence import evidence_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from backstop.model.evidence_chain import StoredRecord
    from backstop.repository.catalog import Repository

HEADS_FILE = "heads.json"
_MOST_BYTES = 1024 * 1024


def newest_heads(
    repositories: Sequence[Repository],
) -> tuple[dict[str, ChainHead], dict[str, BackstopError]]:
    """By repository id, as far as there is one; and by the name of the repository, why it does not say."""
    found: dict[str, ChainHead] = {}
    failed: dict[str, BackstopError] = {}
    for repository in repositories:
        try:
            chain = evidence_of(repository)
            if (head := chain.head()) is not None:
                found[chain.repository_id] = head
        except BackstopError as error:
            failed[repository.name] = error
    return found, failed


def heads_in_records(entries: Sequence[StoredRecord], *, where: str) -> dict[str, list[KnownHead]]:
    """By repository id, what the believed records of one chain know of others; of each head the first word.

    :param where: that chain, for people.
    """
    found: dict[str, dict[ChainHead, KnownHead]] = {}
    for entry in entries:
        if (record := entry.believed) is None:
            continue
        for repository_id, head in record.heads.items():
            known = KnownHead(head, f"record {record.number} in {where}")
            found.setdefault(repository_id, {}).setdefault(head, known)
    return {repository_id: list(heads.values()) for repository_id, heads in found.items()}


def heads_document(target: str, heads: Mapping[str, ChainHead]) -> dict[str, Any]:
    """What somebody keeps, to hold a later verification against."""
    return {
        "format": 1,
        "heads": {repository_id: head.to_dict() for repository_id, head in sorted(heads.items())},
        "target": target,
    }


def read_kept_heads(path: Path, *, target: str) -> dict[str, KnownHead]:
    """What was kept: ``heads.json`` of an export, the export itself (folder or zip), or what ``evidence
    verify --json`` printed. By repository id.

    :raises ConfigurationError: it is none of these, or of another target.
    """
    try:
        document = json.loads(_kept_text(path))
        documents = document["targets"] if "targets" in document else {document["target"]: document}
        raw = documents[target]["heads"]
        who = f"the copy kept in {path}"
        return {
            repository_id: KnownHead(ChainHead.from_dict(head), who) for repository_id, head in raw.items()
        }
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}", hint="name heads.json of an export, or the export"
        ) from error
    except (KeyError, TypeError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise ConfigurationError(
            f"{path} keeps no heads of the evidence of {target} ({type(error).__name__}: {error})",
            hint="name heads.json of an export, the export, or what `evidence verify --json` printed",
        ) from error


def _kept_text(path: Path) -> bytes:
    if path.is_dir():
        return (path / HEADS_FILE).read_bytes()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as bundle, bundle.open(HEADS_FILE) as file:
            return file.read(_MOST_BYTES)
    with path.open("rb") as file:
        return file.read(64 * _MOST_BYTES)
