"""A directory of target files as a fleet has them: what is shared, defaults, a file a target."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SHARED = """\
version: 1
keys:
  site:
    storage: local
    path: {home}/keys/ring.json
    signing: {home}/keys/signing
    escrow: {{waived: benchmark}}
repositories:
  local: {{type: posix, path: {home}/repositories/local}}
  s3: {{type: posix, path: {home}/repositories/far}}
inventory: {{conn_id: backstop_inventory}}
pools: {{transfers: 8, scratch: 2}}
defaults:
  keys: site
  owner: platform
  tags: [fleet]
  pools: {{transfers: transfers, scratch: scratch}}
  database:
    schedule: "H 1 * * *"
    repositories: [local, s3]
    retention: {{local: 7d, s3: {{keep_for: 30d, weekly: 8, monthly: 12}}}}
    objectives: {{rto: 1h, rpo: 5m}}
    verify: {{queries: [{{name: rows are there, sql: "SELECT count(*) > 0 FROM events", expect: true}}]}}
  cluster: {{full: "H 3 * * 0", incremental: "H 3 * * 1-6"}}
  trees:
    "*": {{schedule: "H 2 * * *", retention: {{local: 7d, s3: 30d}}, objectives: {{rto: 4h, rpo: 24h}}}}
  drill: {{schedule: "H H H * *", directory: {home}/drills}}
"""

TARGET = """\
# System {number:03}, team {team}.
targets:
  system-{number:03}:
    description: System number {number}
    owner: team-{team}
    access: {{restore: [team-{team}], expire: [team-{team}]}}
    database:
      conn_id: backup_{number}
      restore_conn_id: restore_{number}
      dbname: system_{number}
    cluster:
      conn_id: replication_{number}
      recovery: {{directory: {home}/recovered/{number}}}
    trees:
      media: {{paths: [/srv/{number}/media], exclude: ["*.tmp"]}}
      config: {{paths: [/etc/system-{number}], retention: {{local: 30d}}}}
"""


def write_fleet(home: Path, count: int) -> Path:
    """So many target files below ``home``; the directory that has them. Two repositories, pools, defaults."""
    directory = home / "targets"
    directory.mkdir(mode=0o700)
    (directory / "backstop.yaml").write_text(SHARED.format(home=home), encoding="utf-8")
    for number in range(count):
        text = TARGET.format(home=home, number=number, team="abcdefgh"[number % 8])
        (directory / f"system-{number:03}.yaml").write_text(text, encoding="utf-8")
    return directory
