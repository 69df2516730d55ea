"""What happened in a demo, and the short table that tells it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console


@dataclass
class FilesStory:
    """What happened to the files.

    :param before: mode, mtime and SHA-256 of every file by its path.
    :param backups: reports of the backups by tree; :param proofs: what the verification found, by repository.
    :param noticed_seconds: from an edit to the end of the backup that it woke.
    """

    before: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    backups: dict[str, dict[str, Any]] = field(default_factory=dict)
    proofs: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    media_lost: int = 0
    media_seconds: float = 0.0
    noticed_seconds: float = 0.0
    file_lost: str = ""
    file_seconds: float = 0.0


@dataclass
class Story:
    """What happened, for the table at the end."""

    label: str = ""
    plain_bytes: int = 0
    stored_bytes: int = 0
    backup_seconds: float = 0.0
    repositories: dict[str, str] = field(default_factory=dict)
    proofs: dict[str, float] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)
    broken: dict[str, int] = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)
    kept: str = ""
    restore_seconds: float = 0.0
    closed_seconds: float = 0.0
    downtime_seconds: float = 0.0
    interrupted: int = 0
    base_label: str = ""
    base_seconds: float = 0.0
    deleted_at: str = ""
    written: int = 0
    recovered: int = 0
    lost: int = 0
    recovery_seconds: float = 0.0
    replayed_bytes: int = 0
    cluster_downtime_seconds: float = 0.0
    protected_again: str = ""
    files: FilesStory = field(default_factory=FilesStory)


def size(count_bytes: int) -> str:
    return f"{count_bytes / 1e6:,.1f} MB" if count_bytes >= 100_000 else f"{count_bytes / 1e3:,.1f} kB"


def show(story: Story, console: Console) -> None:
    """The short table."""
    facts = Table(title="What happened", show_header=False)
    facts.add_row("Backup", story.label)
    facts.add_row("Read / stored", f"{size(story.plain_bytes)} / {size(story.stored_bytes)}, encrypted, in "
                  + " and ".join(story.repositories))  # fmt: skip
    facts.add_row("Time to back up", f"{story.backup_seconds:.1f} s")
    facts.add_row(
        "Proof", "; ".join(f"{name}: proven in {took:.1f} s" for name, took in story.proofs.items())
    )
    facts.add_row("Time to restore", f"{story.restore_seconds:.1f} s after the approval")
    facts.add_row(
        "Downtime of the swap",
        f"{story.downtime_seconds:.2f} s, longest wait of {story.interrupted} reconnecting clients "
        f"(database closed for {story.closed_seconds:.2f} s)",
    )
    facts.add_row("Base backup", f"{story.base_label} in {story.base_seconds:.1f} s")
    facts.add_row(
        "Point in time",
        f"{story.deleted_at}, just before {story.written:,} rows were deleted: {story.recovered:,} are back, "
        f"{story.lost} lost",
    )
    facts.add_row(
        "Time to recover",
        f"{story.recovery_seconds:.1f} s after the approval, {size(story.replayed_bytes)} of WAL replayed",
    )
    facts.add_row("Downtime of the cut over", f"{story.cluster_downtime_seconds:.2f} s")
    facts.add_row("Protected again by", story.protected_again)
    for name, text in _about_files(story.files):
        facts.add_row(name, text)
    rows = Table(title="Rows per table")
    for column in ("Table", "Before", "After the accident", "Restored"):
        rows.add_column(column, justify="left" if column == "Table" else "right")
    for name, before in story.before.items():
        broken = story.broken.get(name)
        rows.add_row(
            name,
            f"{before:,}",
            "gone" if broken is None else f"{broken:,}",
            f"{story.after[name]:,}",
            style="bold" if broken != before else None,
        )
    console.print()
    console.print(facts)
    console.print(rows)


def _about_files(story: FilesStory) -> list[tuple[str, str]]:
    rows = []
    for tree, report in story.backups.items():
        proofs = story.proofs[tree]
        took = "; ".join(f"{name}: proven in {one['seconds']['total']:.1f} s" for name, one in proofs.items())
        rows.append(
            (
                f"Backup of {tree}",
                f"{report['files']:,} files, {size(report['plain_bytes'])}; "
                f"{size(report['stored_bytes'])} stored in {report['seconds']:.1f} s; {took}",
            )
        )
    rows.append(("Backed up on change", f"{story.noticed_seconds:.1f} s after the edit"))
    for checks in [one["checks"] for one in story.proofs.get("media", {}).values()][:1]:
        expected, missing = int(checks["expected_files"]), int(checks["missing_files"])
        rows.append(("Rows and files", f"{expected:,} files that the database names, {missing} missing"))
    back = f"all {story.media_lost:,} files are back, byte for byte, with their modes and times"
    rows.append(("Media folder lost", f"{back}, {story.media_seconds:.1f} s after the approval"))
    rows.append((f"{story.file_lost} lost", f"back {story.file_seconds:.1f} s after the approval"))
    return rows
