"""Every series there is: its name, its labels, its meaning. Names and labels are stable."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Series:
    """A gauge. ``labels`` in the order in which values are given."""

    name: str
    labels: tuple[str, ...]
    documentation: str


def _gauge(name: str, labels: str, documentation: str) -> Series:
    return Series(name, tuple(labels.split()), documentation)


BUILD = _gauge("backstop_build_info", "version", "Always 1; the version that answers.")

# Airflow, as far as it can keep every target from being backed up.
POOL_PLACES = _gauge(
    "backstop_pool_places",
    "pool",
    "Places of a pool that targets have tasks in; 0: none, or no such pool, and nothing in it is started. "
    "Negative: no limit. Of Airflow's API server alone.",
)
PAUSED = _gauge(
    "backstop_procedure_paused",
    "dag_id target",
    "Always 1: the DAG is paused, and nothing of it is started. Gone once it is not. The target is empty "
    "where it is about none alone. Of Airflow's API server alone.",
)

# The target as a whole.
CONFIGURED = _gauge("backstop_target_configured", "target", "Always 1: targets.yaml names the target.")
WATCHED_AT = _gauge(
    "backstop_watch_timestamp_seconds",
    "target",
    "When the target was last looked at. Every other series of it is as old as this.",
)
WATCH_DURATION = _gauge("backstop_watch_duration_seconds", "target", "How long that look took.")
UNSEEN = _gauge("backstop_watch_unseen", "target", "How many things could not be looked at that time.")
FINDINGS = _gauge("backstop_findings", "target level", "Findings that are open, by level.")
FINDING_OPEN = _gauge(
    "backstop_finding_open",
    "target check subject level",
    "Always 1: the finding is open. Gone once it is closed.",
)
SCRATCH = _gauge(
    "backstop_scratch_bytes", "target", "Left over by verifications and restores that have ended."
)
CLOCK_OFFSET = _gauge(
    "backstop_clock_offset_seconds",
    "target clock",
    "How far another clock is ahead of the watch's; negative: behind.",
)

# What is backed up as one: kind is dump, base or tree:<name>.
STATUS = _gauge(
    "backup_status",
    "target kind",
    "1 when what was due is there and the last run did not fail; else 0, also when nobody has looked lately.",
)
LAST_SUCCESS = _gauge(
    "backstop_backup_last_success_timestamp_seconds", "target kind", "When the newest backup was published."
)
LAST_SNAPSHOT = _gauge(
    "backstop_backup_last_snapshot_timestamp_seconds",
    "target kind",
    "The moment whose data the newest backup holds.",
)
LAST_PROOF = _gauge(
    "backstop_backup_last_proof_timestamp_seconds",
    "target kind",
    "When a restore last proved a backup of this kind.",
)
PROVEN_SNAPSHOT = _gauge(
    "backstop_backup_proven_snapshot_timestamp_seconds",
    "target kind",
    "The moment whose data the newest proven backup holds.",
)
NEWEST_PROVEN = _gauge(
    "backstop_backup_newest_proven",
    "target kind repository",
    "Whether the newest backup's copy in this repository is proven; absent where there is none.",
)
DUE = _gauge(
    "backstop_backup_due_timestamp_seconds", "target kind", "When the newest backup was due, by its schedule."
)
NEXT_DUE = _gauge("backstop_backup_next_due_timestamp_seconds", "target kind", "When the next backup is due.")
DURATION = _gauge(
    "backstop_backup_duration_seconds",
    "target kind",
    "How long the newest backup took, from its start to its publication.",
)
STORED = _gauge(
    "backstop_backup_stored_bytes", "target kind", "Stored for the newest backup: compressed and encrypted."
)
PLAIN = _gauge(
    "backstop_backup_plain_bytes", "target kind", "Content of the newest backup, before compression."
)
BACKUPS = _gauge("backstop_backups", "target kind", "Backups there are, each counted once.")
PROVEN_BACKUPS = _gauge("backstop_backups_proven", "target kind", "Of them those that are proven somewhere.")
OBSERVED_RPO = _gauge(
    "backstop_observed_rpo_seconds",
    "target kind",
    "What would be lost now if this kind were all there is, measured at the repositories.",
)
REPOSITORY_RPO = _gauge(
    "backstop_repository_observed_rpo_seconds",
    "target kind repository",
    "The same if only this repository were left; of base alone.",
)
RPO_OBJECTIVE = _gauge(
    "backstop_rpo_objective_seconds", "target kind", "How much may be lost, by targets.yaml."
)
PREDICTED_RTO = _gauge(
    "backstop_predicted_rto_seconds",
    "target kind estimate",
    "How long a restore would take: median; in eight of ten cases between low and high. "
    "Of base without WAL written since.",
)
RTO_SAMPLES = _gauge(
    "backstop_predicted_rto_samples", "target kind", "Measured restores on which the prediction is based."
)
RTO_OBJECTIVE = _gauge(
    "backstop_rto_objective_seconds", "target kind", "How long a restore may take, by targets.yaml."
)

FORECAST_JUDGED = _gauge(
    "backstop_forecast_judged_restores",
    "target kind",
    "Measured restores, of proofs and drills, of which those before them allowed a forecast.",
)
FORECAST_WITHIN = _gauge(
    "backstop_forecast_within_interval_ratio",
    "target kind",
    "Which part of them lay in the interval of their forecast; 0.8 is meant.",
)
FORECAST_ERROR = _gauge(
    "backstop_forecast_median_error_ratio",
    "target kind",
    "By how much the middling forecast was off, as a part of what the restore took.",
)

# Rehearsed disasters.
DRILL_AT = _gauge("backstop_drill_last_timestamp_seconds", "target", "When the last drill ended.")
DRILL_PASSED_AT = _gauge(
    "backstop_drill_last_passed_timestamp_seconds", "target", "When the last drill that passed ended."
)
DRILL_PASSED = _gauge(
    "backstop_drill_passed",
    "target",
    "Whether everything came back in the last drill, every check passed, and nothing was left behind.",
)
DRILL_OBJECTIVES = _gauge(
    "backstop_drill_objectives_met",
    "target",
    "Whether the last drill met every objective; absent: none is set, or it is not known.",
)
DRILL_DOWNTIME = _gauge(
    "backstop_drill_downtime_seconds",
    "target kind",
    "From the last drill's disaster until this was restored and validated; absent: it did not come back.",
)
DRILL_LOSS = _gauge(
    "backstop_drill_loss_seconds",
    "target kind",
    "What the last drill's disaster would have cost of this, measured at the repositories.",
)

# Continuous archiving.
WAL_BEHIND = _gauge(
    "backstop_wal_behind_bytes", "target repository", "WAL that the server has written and this has not."
)
WAL_GAPS = _gauge(
    "backstop_wal_gaps", "target repository", "Recovery windows that end although later WAL is there."
)
WINDOW_BEGIN = _gauge(
    "backstop_recovery_window_begin_timestamp_seconds",
    "target repository",
    "From when on the newest window lets the cluster be recovered to any moment.",
)
WINDOW_END = _gauge(
    "backstop_recovery_window_end_timestamp_seconds", "target repository", "Until when it does."
)
SLOT_STATE = _gauge(
    "backstop_slot_state",
    "target slot state",
    "1 for the replication slot's state, 0 for the others: active, inactive, missing, lost.",
)
SLOT_RETAINED = _gauge(
    "backstop_slot_retained_bytes", "target slot", "WAL that the server keeps for the slot."
)
SLOT_LIMIT = _gauge(
    "backstop_slot_limit_bytes",
    "target slot",
    "max_slot_wal_keep_size, beyond which the slot is lost; absent: not bounded.",
)

# Keys.
KEY_STATE = _gauge(
    "backstop_key_state",
    "target key state",
    "1 for the key's state, 0 for the others: usable, disabled, pending deletion, missing, unknown.",
)
KEY_CREATED = _gauge(
    "backstop_key_created_timestamp_seconds", "target key", "When the key's newest generation was made."
)
KEY_ROTATION_DUE = _gauge(
    "backstop_key_rotation_due_timestamp_seconds", "target key", "When its next generation is due."
)
KEY_BACKUPS = _gauge("backstop_key_backups", "target key", "Backups that need the key.")

# Repositories, as far as the target goes.
REPOSITORY_UP = _gauge("backstop_repository_up", "target repository", "Whether the repository answers.")
REPOSITORY_WRITABLE = _gauge(
    "backstop_repository_writable",
    "target repository",
    "Whether it takes what is written; absent: not known.",
)
REPOSITORY_ANSWER = _gauge(
    "backstop_repository_answer_seconds", "target repository", "How long it took to answer a small request."
)
REPOSITORY_STORED = _gauge(
    "backstop_repository_stored_bytes",
    "target repository",
    "Stored there for the target, shared objects once.",
)
REPOSITORY_BACKUPS = _gauge("backstop_repository_backups", "target repository", "Backups published there.")
REPOSITORY_MISSING = _gauge(
    "backstop_repository_missing_objects",
    "target repository",
    "Objects that manifests name and that are not there, or of another size.",
)
REPOSITORY_FREE = _gauge(
    "backstop_repository_free_bytes", "target repository", "Free where the repository lies; absent of S3."
)
REPOSITORY_SIZE = _gauge(
    "backstop_repository_size_bytes", "target repository", "Size of where it lies; absent of S3."
)

SERIES: tuple[Series, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Series))
"""All of them, in the order of this file."""
