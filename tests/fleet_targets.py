"""The targets.yaml of the fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEAD = """\
version: 1
keys:
  lab: {storage: local, path: /nowhere/ring.json, signing: /nowhere/signing, escrow: {waived: test}}
repositories:
  local: {type: posix, path: /var/backups/backstop}
  s3: {type: s3, bucket: backups-eu}
inventory: {conn_id: inventory}
targets:
"""
_TARGET = """\
  TARGET:
    description: Lab calibration app
    keys: lab
    database:
      conn_id: backup
      dbname: app
      schedule: "0 1 * * *"
      repositories: [local, s3]
      retention: {local: 30d, s3: {keep_for: 90d, monthly: 12}}
      objectives: {rto: 1h, rpo: 5m}
    cluster: {conn_id: replication, full: "0 3 * * 0", incremental: "0 3 * * 1-6"}
    trees:
      media: {paths: [/srv/media], repositories: [local, s3], retention: {local: 30d, s3: 90d}}
      config: {paths: [/etc/app], repositories: [local, s3], retention: {local: 30d, s3: 90d}}
"""


def targets_yaml(names: Sequence[str]) -> str:
    """All of them alike."""
    return _HEAD + "".join(_TARGET.replace("TARGET", name) for name in names)
