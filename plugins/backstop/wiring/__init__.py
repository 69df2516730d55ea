"""Opens what targets.yaml names: repositories, keys, servers. For the CLI and for Airflow alike.

Everything comes from values: the configuration, and a source of credentials. Nothing is contacted here;
the first use does that.
"""

from __future__ import annotations

from backstop.wiring.evidence import draw_report
from backstop.wiring.keys import (
    kms_clients_of,
    open_evidence_signer,
    open_keyring,
    open_kms_signer,
    open_signer,
    open_trust,
    watched_keys,
)
from backstop.wiring.repositories import (
    cheapest_first,
    every_repository,
    open_bucket,
    open_bucket_settings,
    open_every_repository,
    open_lifecycle,
    open_repositories,
    open_repository,
    open_storage,
    open_tree_repositories,
    open_what_can_be,
    others_of,
)
from backstop.wiring.servers import (
    cluster_connection,
    inventory_connection,
    inventory_or_why,
    open_inventory,
    replication_connection,
    verification_server,
)
from backstop.wiring.targets import find_cluster, find_recovery, find_target, find_tree

__all__ = [
    "cheapest_first",
    "cluster_connection",
    "draw_report",
    "every_repository",
    "find_cluster",
    "find_recovery",
    "find_target",
    "find_tree",
    "inventory_connection",
    "inventory_or_why",
    "kms_clients_of",
    "open_bucket",
    "open_bucket_settings",
    "open_every_repository",
    "open_evidence_signer",
    "open_inventory",
    "open_keyring",
    "open_kms_signer",
    "open_lifecycle",
    "open_repositories",
    "open_repository",
    "open_signer",
    "open_storage",
    "open_tree_repositories",
    "open_trust",
    "open_what_can_be",
    "others_of",
    "replication_connection",
    "verification_server",
    "watched_keys",
]
