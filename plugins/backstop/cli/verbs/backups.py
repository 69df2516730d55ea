"""``list`` and ``show``: what the repositories hold, read from them alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.cli.exit_codes import DAMAGED, DONE
from backstop.cli.output import (
    human_bytes,
    human_server,
    human_time,
    print_fields,
    print_json,
    print_table,
    say,
)
from backstop.cli.reading import Copy, Reading, merge, read_repositories
from backstop.cli.session import Session, chosen_target
from backstop.credentials import default_credentials
from backstop.model.access import AccessRole
from backstop.targets import load_targets

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from backstop.model.backup import Manifest


def list_backups(arguments: argparse.Namespace) -> int:
    configuration = load_targets(arguments.targets)
    credentials = default_credentials(AccessRole.RESTORER)
    named = [chosen_target(configuration, arguments.target)] if arguments.target else []
    readings = [
        read_repositories(
            configuration, name, credentials, only=arguments.repository, everything=arguments.all
        )
        for name in named or sorted(configuration.targets)
    ]
    if arguments.json:
        print_json({"targets": {reading.target: _reading_document(reading) for reading in readings}})
    else:
        for reading in readings:
            _print_reading(reading, titled=len(readings) > 1)
    for reading in readings:
        for sentence in reading.remarks():
            say(f"backstop: {sentence}")
    return DAMAGED if any(reading.unreadable for reading in readings) else DONE


def _print_reading(reading: Reading, *, titled: bool) -> None:
    if titled:
        print(f"{reading.target}:")
    rows = [
        [
            str(copies[0].manifest.label),
            copies[0].manifest.kind.value,
            human_time(copies[0].manifest.finished_at),
            human_bytes(copies[0].manifest.plain_bytes),
            human_bytes(copies[0].manifest.stored_bytes),
            ", ".join(copy.repository for copy in copies),
            states(copies),
        ]
        for copies in merge(reading.copies)
    ]
    if not rows:
        print("no backups")
        return
    columns = ["LABEL", "KIND", "FINISHED", "SIZE", "STORED", "REPOSITORIES", "STATE"]
    print_table(columns, rows, right=(3, 4))


def states(copies: Sequence[Copy]) -> str:
    """``proven 2026-11-23 01:20:00Z``; with several repositories, of each in turn."""
    sentences = {copy.repository: _state(copy) for copy in copies}
    if len(set(sentences.values())) == 1:
        return next(iter(sentences.values()))
    return "; ".join(f"{name}: {sentence}" for name, sentence in sentences.items())


def _state(copy: Copy) -> str:
    held = ", held" if copy.holds else ""
    if not copy.proofs:
        return f"completed, not proven{held}"
    newest = copy.proofs[-1]
    return f"{'proven' if newest.matched else 'FAILED its proof'} {human_time(newest.finished_at)}{held}"


def _reading_document(reading: Reading) -> dict[str, Any]:
    return {
        "repositories": {
            name: {"read": name in reading.read, "error": reading.failed.get(name)} for name in reading.names
        },
        "backups": [
            {
                "label": str(copies[0].manifest.label),
                "kind": copies[0].manifest.kind.value,
                "started_at": copies[0].manifest.started_at,
                "snapshot_at": copies[0].manifest.snapshot_at,
                "finished_at": copies[0].manifest.finished_at,
                "plain_bytes": copies[0].manifest.plain_bytes,
                "stored_bytes": copies[0].manifest.stored_bytes,
                "repositories": {copy.repository: copy.state_document() for copy in copies},
            }
            for copies in merge(reading.copies)
        ],
        "unreadable": [{"repository": name, "error": str(error)} for name, error in reading.unreadable],
    }


def show_backup(arguments: argparse.Namespace) -> int:
    session = Session(arguments, AccessRole.RESTORER)
    _, label = session.locate(arguments.label, only=arguments.repository)
    reading = read_repositories(
        session.configuration,
        session.target_name,
        session.credentials,
        only=arguments.repository,
        everything=True,
        label=label,
    )
    if arguments.json:
        print_json(_copies_document(reading.copies))
    else:
        _print_copies(reading.copies, objects=arguments.objects)
    for sentence in reading.remarks():
        say(f"backstop: {sentence}")
    return DAMAGED if reading.unreadable else DONE


def _copies_document(copies: Sequence[Copy]) -> dict[str, Any]:
    return {
        "manifest": {
            key: value
            for key, value in copies[0].manifest.to_dict().items()
            if key not in ("repository_id", "epoch", "signature")
        },
        "repositories": {
            copy.repository: {
                **copy.state_document(),
                "location": copy.location,
                "manifest_sha256": copy.sha256,
                "proofs": [proof.to_dict() for proof in copy.proofs],
            }
            for copy in copies
        },
    }


def _print_copies(copies: Sequence[Copy], *, objects: bool) -> None:
    manifest = copies[0].manifest
    took = (manifest.finished_at - manifest.started_at).total_seconds()
    fields = [
        ("label", str(manifest.label)),
        ("target", f"{manifest.target}, {_what(manifest)}"),
        ("state of", human_time(manifest.snapshot_at)),
        ("finished", f"{human_time(manifest.finished_at)}, after {took:.1f} s"),
        *_server(manifest),
        ("tools", ", ".join(f"{name} {version}" for name, version in manifest.tools.items())),
        (
            "size",
            f"{human_bytes(manifest.plain_bytes)} in, {human_bytes(manifest.stored_bytes)} stored, "
            f"{len(manifest.objects)} objects",
        ),
        ("content", ", ".join(f"{name}: {value}" for name, value in manifest.summary.items())),
        ("keys", "\n".join(manifest.keys)),
    ]
    if manifest.kind.physical:
        fields.append(("needs", _needs(manifest)))
    if manifest.not_included:
        fields.append(("without", "\n".join(manifest.not_included)))
    for copy in copies:
        lines = [f"{_state(copy)} ({copy.location})"]
        for proof in copy.proofs:
            lines.append(
                f"{human_time(proof.finished_at)} {'matched' if proof.matched else 'FAILED'}, "
                f"{proof.durations.get('total', 0):.1f} s on {proof.host}, isolation: {proof.isolation}"
            )
            lines += [f"  {difference}" for difference in proof.differences]
        lines += [str(hold) for hold in copy.holds]
        fields.append((f"in {copy.repository}", "\n".join(lines)))
    print_fields(fields)
    if objects:
        rows = [
            [stored.key, stored.layout, stored.name or "-", str(stored.plain_bytes), str(stored.stored_bytes)]
            for stored in manifest.objects
        ]
        print_table(["OBJECT", "LAYOUT", "NAME", "BYTES", "STORED"], rows, right=(3, 4))


def _what(manifest: Manifest) -> str:
    if manifest.label.tree:
        return f"files {manifest.label.tree}"
    return f"database {manifest.database}" if manifest.database else "cluster"


def _server(manifest: Manifest) -> list[tuple[str, str]]:
    if manifest.label.tree:
        return []
    version = human_server(manifest.server_version)
    return [("server", f"PostgreSQL {version}, system {manifest.system_id}")]


def _needs(manifest: Manifest) -> str:
    wal = f"WAL of timeline {manifest.timeline} from {manifest.start_lsn} to {manifest.end_lsn}"
    return "\n".join([*(label.text for label in manifest.refers_to), wal])
