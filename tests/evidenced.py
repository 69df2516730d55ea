"""A drill, an incident and proofs as evidence holds them: what reports and pages are shown with."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from backstop.model.backup import BackupLabel, Signature
from backstop.model.drill import DrillRecord, SignOff
from backstop.model.drill_document import drill_document, sign_off_document
from backstop.model.evidence import BEFORE_THE_FIRST, EvidenceKind, EvidenceRecord
from backstop.model.incident import Event, EventKind
from backstop.model.incident_document import incident_document
from backstop.model.incident_record import IncidentRecord
from backstop.model.measured import CheckedItem, ComponentRecovery, Outcome, Phase
from backstop.model.observation import ForecastSeen
from backstop.model.proof import Proof

NOON = datetime(2026, 11, 26, 12, tzinfo=timezone.utc)
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
DISASTER = NOON - timedelta(days=3, hours=21, minutes=28)


def phases(begins_at: datetime, **seconds: float) -> tuple[Phase, ...]:
    """One after the other, without a pause."""
    found, at = [], begins_at
    for name, length in seconds.items():
        found.append(Phase(name, at, at + timedelta(seconds=length)))
        at += timedelta(seconds=length)
    return tuple(found)


BASE = ComponentRecovery(
    component="base",
    repository="local",
    label="20261122T013000Z-incr",
    lost_at=DISASTER,
    recovered_to=DISASTER - 2 * SECOND,
    loss=2 * SECOND,
    loss_says="as it was observed at the repository 40 s before the disaster",
    phases=phases(NOON, detect=3, fetch=412, replay=655, validate=118),
    downtime=timedelta(seconds=1188),
    rto=HOUR,
    rpo=5 * MINUTE,
    forecast=ForecastSeen(1090, 840, 1500, 11),
    bytes=48_200_000_000,
    segments=1204,
)
MEDIA = ComponentRecovery(
    component="tree:media",
    repository="s3",
    label="20261122T020000Z-tree-media",
    lost_at=DISASTER,
    recovered_to=DISASTER - timedelta(hours=12, minutes=32),
    loss=timedelta(hours=12, minutes=32),
    loss_says="between the last backup of the files and the disaster",
    phases=phases(NOON + 1188 * SECOND, fetch=1360, restore=2011, validate=240),
    downtime=timedelta(seconds=4799),
    rto=4 * HOUR,
    rpo=24 * HOUR,
    forecast=ForecastSeen(3900, 3000, 5200, 4),
    notes=("3 files changed while they were read, and are listed as skewed in the backup",),
    bytes=120_400_000_000,
)
CONFIG = ComponentRecovery(
    component="tree:config",
    repository="local",
    label="20261121T171205Z-tree-config",
    lost_at=DISASTER,
    recovered_to=DISASTER - timedelta(hours=9),
    phases=phases(NOON + 4799 * SECOND, fetch=2, restore=1, validate=4),
    downtime=timedelta(seconds=4806),
    rto=HOUR,
    bytes=88_000,
)
CHECKED = (
    CheckedItem("restore", "", Outcome.PASSED, "the cluster and 2 trees were restored beside", seconds=4800),
    CheckedItem(
        "integrity",
        "base",
        Outcome.PASSED,
        "131 tables match the ledger, amcheck found nothing in 402 indexes, all pages have their checksums",
        ("18,204,118 rows were counted", "of 4,118 media files that rows name, all are there"),
        61,
    ),
    CheckedItem(
        "integrity", "tree:media", Outcome.PASSED, "4,220 files have the SHA-256 of the list", seconds=240
    ),
    CheckedItem(
        "functionality", "base", Outcome.PASSED, "3 of 3 probes answered as targets.yaml expects", seconds=9
    ),
    CheckedItem(
        "permissions",
        "tree:media",
        Outcome.PASSED,
        "mode, owner and group of 4,220 files are those of the list",
    ),
    CheckedItem("configuration", "tree:config", Outcome.PASSED, "nginx -t found no fault", seconds=0.4),
)
DRILL = DrillRecord(
    drill_id="drill-20261126T120000Z-1f3a",
    target="calibrify",
    scenario="all",
    seed="20261126-7",
    window_begins_at=NOON - timedelta(days=30),
    window_ends_at=NOON - 2 * SECOND,
    disaster_at=DISASTER,
    began_at=NOON,
    ended_at=NOON + 4815 * SECOND,
    components=(BASE, MEDIA, CONFIG),
    checklist=CHECKED,
    requested_by="schedule of run_drill__calibrify",
    host="worker-2",
    version="1.7.0",
    sign_off=SignOff("ada", NOON + 2 * HOUR, True, "RTO of configuration: restore it first next time."),
)
"""Everything is back, and one objective missed: configuration waited for the media."""

FAILED_DRILL = replace(
    DRILL,
    drill_id="drill-20261026T120000Z-77aa",
    scenario="repository:s3",
    components=(
        replace(
            BASE,
            recovered_to=None,
            loss=None,
            loss_says="",
            downtime=None,
            phases=BASE.phases[:2],
            failure="segment 0000000100000012000000A4 is absent from local; recovery cannot pass this point",
        ),
        CONFIG,
    ),
    checklist=(
        CheckedItem("restore", "base", Outcome.FAILED, "the cluster was not restored: a segment is absent"),
        CheckedItem("integrity", "base", Outcome.NOT_DONE, "there is nothing to look into"),
        CheckedItem("functionality", "", Outcome.NOT_APPLICABLE, "targets.yaml has no probe for it"),
        CHECKED[-1],
    ),
    left_behind=("scratch /var/lib/backstop/drill-77aa could not be removed: Device or resource busy",),
    sign_off=None,
)


def _event(number: int, seconds: float, kind: EventKind, **data: object) -> Event:
    data = {name.rstrip("_"): value for name, value in data.items()}
    return Event(number, NOON + timedelta(seconds=seconds), kind, data)


EVENTS = tuple(
    _event(number, seconds, kind, **data)
    for number, (seconds, kind, data) in enumerate(
        (
            (0, EventKind.DECLARED, {"by": "ada", "what": "the data directory and /srv/media are gone"}),
            (4, EventKind.STEP_BEGAN, {"step": "assess"}),
            (
                30,
                EventKind.ASSESSED,
                {
                    "assessment": {
                        "damaged": ["base", "tree:media"],
                        "options": [
                            {"option": "newest", "repository": "local", "loss_seconds": 2},
                            {"option": "proven", "repository": "s3", "loss_seconds": 86_400},
                        ],
                    }
                },
            ),
            (30, EventKind.STEP_ENDED, {"step": "assess", "outcome": "passed", "sentence": "two damaged"}),
            (31, EventKind.WAIT_BEGAN, {"for_": "approval of a plan"}),
            (640, EventKind.WAIT_ENDED, {"by": "grace"}),
            (640, EventKind.CHOSEN, {"by": "grace", "option": "newest"}),
            (641, EventKind.STEP_BEGAN, {"step": "tell:start"}),
            (642, EventKind.ESTIMATED, {"low_seconds": 3000, "median_seconds": 4000, "high_seconds": 5400}),
            (643, EventKind.TOLD, {"channel": "stakeholders", "subject": "Calibrify is down", "failed": ""}),
            (
                643,
                EventKind.TOLD,
                {
                    "channel": "status page",
                    "subject": "Major outage",
                    "failed": "HTTP 503",
                },
            ),
            (644, EventKind.STEP_ENDED, {"step": "tell:start", "outcome": "failed", "sentence": "1 of 2"}),
            (645, EventKind.STEP_BEGAN, {"step": "infrastructure"}),
            (
                646,
                EventKind.STEP_ENDED,
                {"step": "infrastructure", "outcome": "not done", "sentence": "grace left it out: it stands"},
            ),
            (647, EventKind.STEP_BEGAN, {"step": "recover:base"}),
            (
                900,
                EventKind.STEP_ENDED,
                {"step": "recover:base", "outcome": "failed", "sentence": "no space left on /srv"},
            ),
            (905, EventKind.WAIT_BEGAN, {"for_": "space on /srv"}),
            (1500, EventKind.WAIT_ENDED, {"by": "ada"}),
            (1501, EventKind.STEP_BEGAN, {"step": "recover:base"}),
            (
                2701,
                EventKind.STEP_ENDED,
                {"step": "recover:base", "outcome": "passed", "sentence": "cut over to timeline 4"},
            ),
            (2702, EventKind.ESTIMATED, {"low_seconds": 2000, "median_seconds": 2500, "high_seconds": 3000}),
            (2703, EventKind.STEP_BEGAN, {"step": "recover:tree:media"}),
            (
                5003,
                EventKind.STEP_ENDED,
                {"step": "recover:tree:media", "outcome": "passed", "sentence": "4,220 files"},
            ),
            (5004, EventKind.STEP_BEGAN, {"step": "validate:functionality"}),
            (
                5024,
                EventKind.STEP_ENDED,
                {"step": "validate:functionality", "outcome": "passed", "sentence": "3 of 3 probes"},
            ),
            (5025, EventKind.TOLD, {"channel": "stakeholders", "subject": "Calibrify is back", "failed": ""}),
            (5030, EventKind.NOTED, {"by": "ada", "text": "The disk of db-1 is to be replaced."}),
            (5040, EventKind.CLOSED, {"by": "grace", "outcome": "recovered"}),
        ),
        start=1,
    )
)
INCIDENT = IncidentRecord(
    incident_id="incident-20261126T120000Z-9c01",
    target="calibrify",
    what="the data directory and /srv/media are gone",
    declared_by="ada",
    declared_at=NOON,
    ended_at=NOON + 5040 * SECOND,
    outcome="recovered",
    events=EVENTS,
    components=(
        replace(
            BASE,
            lost_at=NOON - 4 * MINUTE,
            recovered_to=NOON - 4 * MINUTE - 2 * SECOND,
            phases=phases(NOON + 1501 * SECOND, fetch=420, replay=700, validate=80),
            downtime=timedelta(seconds=1497),
        ),
        replace(
            MEDIA,
            lost_at=NOON - 4 * MINUTE,
            phases=phases(NOON + 2703 * SECOND, fetch=900, restore=1200, validate=200),
            downtime=timedelta(seconds=3799),
            rpo=12 * HOUR,
        ),
    ),
    checklist=(
        CheckedItem("functionality", "", Outcome.PASSED, "3 of 3 probes answered", seconds=20),
        CheckedItem("consistency", "", Outcome.PASSED, "rows and media agree", seconds=8),
        CheckedItem("integrations", "", Outcome.NOT_APPLICABLE, "targets.yaml names none"),
    ),
    host="worker-2",
    version="1.7.0",
)

PROOF = Proof(
    label=BackupLabel("20261126T010000Z-dump"),
    target="calibrify",
    repository_id="5f0c9a52-local",
    manifest_sha256="9f" * 32,
    started_at=NOON,
    finished_at=NOON + 733 * SECOND,
    matched=True,
    differences=(),
    durations={"fetch": 102.4, "restore": 488.1, "compare": 131.0, "probe": 3.2, "total": 733.0},
    checks={"tables": 131, "rows": 18_204_118, "queries": 3, "sequences": 44},
    server_version=180004,
    isolation="own user, no network, empty environment",
    host="worker-2",
    signature=Signature(key="proof-2026", value="c2lnbmF0dXJl"),
)
FAILED_PROOF = replace(
    PROOF,
    label=BackupLabel("20261125T010000Z-dump"),
    matched=False,
    differences=("table public.equipment: 120,000 rows were dumped, 40,000 are there",),
)


def moved(value: Any, by: timedelta) -> Any:
    """The same at another time."""
    if isinstance(value, datetime):
        return value + by
    if isinstance(value, tuple):
        return tuple(moved(one, by) for one in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{one.name: moved(getattr(value, one.name), by) for one in fields(value)})
    return value


def evidence(
    subject: DrillRecord | IncidentRecord | Proof, *, number: int = 1, previous: str = BEFORE_THE_FIRST
) -> EvidenceRecord:
    """As it is put into a repository, not yet signed."""
    if isinstance(subject, DrillRecord):
        kind, name, at, document = (
            EvidenceKind.DRILL,
            subject.drill_id,
            subject.ended_at,
            drill_document(subject),
        )
    elif isinstance(subject, IncidentRecord):
        kind, name = EvidenceKind.INCIDENT, subject.incident_id
        at, document = subject.ended_at or subject.declared_at, incident_document(subject)
    else:
        kind, name, at, document = (
            EvidenceKind.PROOF,
            subject.label.text,
            subject.finished_at,
            subject.to_dict(),
        )
    return EvidenceRecord(
        target=subject.target,
        repository_id="5f0c9a52-local",
        number=number,
        kind=kind,
        subject=name,
        happened_at=at,
        recorded_at=at + MINUTE,
        previous_sha256=previous,
        document=document,
    )


def signed_off_later(drill_id: str, sign_off: SignOff, *, number: int = 2) -> EvidenceRecord:
    """A sign-off by itself."""
    return replace(
        evidence(DRILL, number=number),
        kind=EvidenceKind.SIGN_OFF,
        subject=drill_id,
        happened_at=sign_off.at,
        document=sign_off_document(sign_off),
    )
