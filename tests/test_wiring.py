"""Wiring: what targets.yaml names becomes repositories, keys and connections, each only when asked for."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
)

from backstop.credentials import EnvironmentCredentials, RoleCredentials
from backstop.crypto.keyring import LocalKeyring
from backstop.crypto.signing import create_signing_keys
from backstop.errors import ConfigurationError, KeyUnavailableError, NotFoundError
from backstop.model.access import AccessRole
from backstop.settings.keys import rotating_keys
from backstop.targets import load_targets
from backstop.wiring import (
    cheapest_first,
    cluster_connection,
    find_tree,
    open_every_repository,
    open_inventory,
    open_keyring,
    open_repositories,
    open_repository,
    open_signer,
    open_tree_repositories,
    watched_keys,
)

CHECKOUT = Path(__file__).parents[1]
NOW = datetime(2026, 11, 23, tzinfo=timezone.utc)
CREDENTIALS = EnvironmentCredentials(
    {
        "AIRFLOW_CONN_LAB_BACKUP": "postgresql://reader:hunter2@db.example.org/ignored",
        "AIRFLOW_CONN_LAB_RESTORE": "postgresql://restorer:hunter2@db.example.org/ignored",
        "AIRFLOW_CONN_S3": '{"conn_type": "aws", "login": "AKIA", "password": "hunter2"}',
        "AIRFLOW_CONN_INVENTORY": "postgresql://me:hunter2@db.example.org/inventory",
    }
)


@pytest.fixture(scope="module")
def escrow_keys(tmp_path_factory):
    """An offline RSA key: its public half, and its private half with the password `open sesame`."""
    folder = tmp_path_factory.mktemp("escrow")
    key = rsa.generate_private_key(public_exponent=65537, key_size=4096)
    public, private = folder / "escrow.pub", folder / "escrow.pem"
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    encryption = BestAvailableEncryption(b"open sesame")
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    public.chmod(0o644)
    private.chmod(0o600)
    return public, private


@pytest.fixture
def load(tmp_path):
    LocalKeyring.create(tmp_path / "ring.json", NOW)
    create_signing_keys(tmp_path / "signing")

    def load(*, escrow: str = "{waived: test}", keys: str | None = None, roles: str = "{}"):
        local = (
            f"{{storage: local, path: {tmp_path}/ring.json, signing: {tmp_path}/signing, escrow: {escrow}}}"
        )
        file = tmp_path / "targets.yaml"
        file.write_text(
            f"""\
version: 1
keys:
  lab: {keys or local}
repositories:
  s3:
    {{type: s3, bucket: lab-backups, conn_id: s3, connections: {roles}, endpoint_url: "http://127.0.0.1:1",
    region: us-east-1}}
  disk: {{type: posix, path: {tmp_path}/repository}}
  other: {{type: posix, path: {tmp_path}/other}}
inventory: {{conn_id: inventory}}
targets:
  calibrify:
    keys: lab
    database:
      {{conn_id: lab_backup, restore_conn_id: lab_restore, dbname: calibrify, repositories: [s3, disk]}}
  readonly:
    keys: lab
    database: {{conn_id: lab_backup, dbname: calibrify, repositories: [disk]}}
    trees:
      media: {{paths: [/srv/media]}}
      configuration: {{paths: [/etc/app], repositories: [other, disk]}}
"""
        )
        return load_targets(file)

    return load


def test_a_targets_repositories_are_opened_in_its_own_order(load, tmp_path):
    repositories = open_repositories(load(), "calibrify", CREDENTIALS)

    assert [one.name for one in repositories] == ["s3", "disk"]
    assert repositories[1].location == f"{tmp_path}/repository"
    assert repositories[0].location.startswith("s3://lab-backups")
    assert "hunter2" not in repr(repositories)


def test_a_tree_goes_where_the_database_goes_unless_it_says_otherwise(load):
    configuration = load()

    media = open_tree_repositories(configuration, "readonly", "media", CREDENTIALS)
    other = open_tree_repositories(configuration, "readonly", "configuration", CREDENTIALS)

    assert [one.name for one in media] == ["disk"]
    assert [one.name for one in other] == ["other", "disk"]


def test_what_only_a_tree_uses_is_a_repository_of_the_target_too(load):
    configuration = load()

    every = open_every_repository(configuration, "readonly", CREDENTIALS)

    assert [one.name for one in every] == ["disk", "other"]
    assert open_repository(configuration, "readonly", "other", CREDENTIALS).name == "other"
    assert cheapest_first(configuration, "readonly") == ["disk", "other"]
    assert [one.name for one in open_repositories(configuration, "readonly", CREDENTIALS)] == ["disk"]


def test_an_unknown_tree_is_answered_with_the_one_that_was_meant(load):
    with pytest.raises(NotFoundError, match=r"readonly has no file tree 'medai'.*did you mean 'media'"):
        find_tree(load(), "readonly", "medai")
    with pytest.raises(NotFoundError, match=r"calibrify has no file tree 'media'.*its `trees` are: none"):
        find_tree(load(), "calibrify", "media")


def test_a_connection_that_a_role_lacks_is_named_with_the_repository_and_the_role(load):
    configuration = load(roles="{writer: s3_writer}")

    with pytest.raises(ConfigurationError, match=r"repository s3 for the role writer: .*'s3_writer'"):
        open_repository(configuration, "calibrify", "s3", RoleCredentials(CREDENTIALS, AccessRole.WRITER))
    # No other role misses it.
    restorer = RoleCredentials(CREDENTIALS, AccessRole.RESTORER)
    assert open_repository(configuration, "calibrify", "s3", restorer).name == "s3"


def test_a_directory_is_cheaper_than_s3(load):
    assert cheapest_first(load(), "calibrify") == ["disk", "s3"]


def test_opening_a_directory_loads_no_cloud_library(load, tmp_path):
    load()
    code = (
        "import sys\n"
        "from backstop.credentials import EnvironmentCredentials, RoleCredentials\n"
        "from backstop.targets import load_targets\n"
        "from backstop.wiring import open_repository\n"
        f"open_repository(load_targets({str(tmp_path / 'targets.yaml')!r}), 'calibrify', 'disk',"
        " EnvironmentCredentials({}))\n"
        "print(sorted({'boto3', 'botocore', 'psycopg', 'aws_encryption_sdk'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=CHECKOUT,
        env={"PYTHONPATH": "plugins"},
    )

    assert done.stdout.strip() == "[]"


def test_a_repository_that_the_target_does_not_use_is_not_opened(load):
    with pytest.raises(NotFoundError, match=r"no repository 'other'.*choose one of: s3, disk"):
        open_repository(load(), "calibrify", "other", CREDENTIALS)


def test_an_unknown_target_is_answered_with_the_known_ones(load):
    with pytest.raises(NotFoundError, match=r"there is no target 'x'.*calibrify, readonly"):
        open_repositories(load(), "x", CREDENTIALS)


def test_a_local_key_ring_works_once_its_escrow_is_settled(load):
    ring = open_keyring(load(), "calibrify", CREDENTIALS)

    assert ring.check() == ()


def test_without_a_word_on_escrow_a_backup_is_refused_and_a_restore_is_not(load):
    configuration = load(escrow="null")

    with pytest.raises(KeyUnavailableError, match="exists on this machine alone"):
        open_keyring(configuration, "calibrify", CREDENTIALS)
    assert open_keyring(configuration, "calibrify", CREDENTIALS, for_reading=True).key_ids


def test_an_escrow_public_key_wraps_beside_the_ring_and_its_private_half_opens_alone(load, escrow_keys):
    public, private = escrow_keys
    configuration = load(escrow=f"{{public_key: {public}}}")

    ring = open_keyring(configuration, "calibrify", CREDENTIALS)
    offline = open_keyring(
        configuration,
        "calibrify",
        CREDENTIALS,
        for_reading=True,
        escrow_key=private,
        escrow_password=b"open sesame",
    )

    assert [key_id.partition("/")[0] for key_id in ring.key_ids] == ["backstop-local", "backstop-escrow"]
    assert offline.key_ids == ring.key_ids[1:]


def test_the_offline_key_opens_backups_although_the_ring_is_lost(load, escrow_keys, tmp_path):
    configuration = load()
    (tmp_path / "ring.json").unlink()

    with pytest.raises(KeyUnavailableError):
        open_keyring(configuration, "calibrify", CREDENTIALS, for_reading=True)
    assert open_keyring(
        configuration,
        "calibrify",
        CREDENTIALS,
        for_reading=True,
        escrow_key=escrow_keys[1],
        escrow_password=b"open sesame",
    ).key_ids


def test_a_kms_key_needs_no_escrow(load, tmp_path):
    arn = "arn:aws:kms:eu-central-1:123456789012:key/abc"
    further = "arn:aws:kms:us-east-1:123456789012:key/def"
    keys = (
        f"{{storage: aws-kms, key_arn: '{arn}', further_key_arns: ['{further}'], "
        f"signing: {tmp_path}/signing, conn_id: s3}}"
    )

    ring = open_keyring(load(keys=keys), "calibrify", CREDENTIALS)

    assert ring.key_ids == (arn, further)
    assert "hunter2" not in repr(ring)


@pytest.mark.parametrize(("for_reading", "asked"), [(False, "wraps"), (True, "opens")])
def test_who_wraps_data_keys_has_another_connection_than_who_opens_them(load, tmp_path, for_reading, asked):
    class Asked:
        def __init__(self):
            self.names = []

        def get(self, conn_id):
            self.names.append(conn_id)
            return CREDENTIALS.get("s3")

    keys = (
        "{storage: aws-kms, key_arn: 'arn:aws:kms:eu-central-1:123456789012:key/abc', "
        "connections: {encrypt: wraps, decrypt: opens, inspect: looks, administer: rotates}, "
        f"signing: {tmp_path}/signing}}"
    )
    credentials = Asked()

    open_keyring(load(keys=keys), "calibrify", credentials, for_reading=for_reading)

    assert credentials.names == [asked]


def test_the_watch_looks_at_keys_with_a_connection_that_rotates_none(load, tmp_path):
    asked = []

    class Asked:
        def get(self, conn_id):
            asked.append(conn_id)
            return CREDENTIALS.get("s3")

    keys = (
        "{storage: aws-kms, key_arn: 'arn:aws:kms:eu-central-1:123456789012:key/abc', "
        f"connections: {{inspect: looks, administer: rotates}}, signing: {tmp_path}/signing}}"
    )

    watched_keys(load(keys=keys), "calibrify", Asked())
    rotating_keys(load(keys=keys), "lab", Asked())

    assert asked == ["looks", "rotates"]


@pytest.mark.parametrize(("said", "required"), [("", True), ("further: optional, ", False)])
def test_a_further_key_is_required_unless_targets_yaml_lets_it_be_absent(load, tmp_path, said, required):
    arn = "arn:aws:kms:eu-central-1:123456789012:key/abc"
    further = "arn:aws:kms:us-east-1:123456789012:key/def"
    keys = (
        f"{{storage: aws-kms, key_arn: '{arn}', further_key_arns: ['{further}'], {said}"
        f"signing: {tmp_path}/signing, conn_id: s3}}"
    )

    ring = open_keyring(load(keys=keys), "calibrify", CREDENTIALS)

    assert [one.required for one in ring.encryption_keys()] == [True, required]


def test_manifests_and_proofs_are_signed_by_different_keys(load):
    configuration = load()

    roles = {open_signer(configuration, "calibrify", role).key_id for role in ("manifest", "proof")}

    assert len(roles) == 2


def test_backup_and_restore_connect_as_different_roles_to_the_targets_database(load):
    configuration = load()

    reader = cluster_connection(configuration, "calibrify", CREDENTIALS)
    restorer = cluster_connection(configuration, "calibrify", CREDENTIALS, for_restore=True)

    assert reader.location == "reader@db.example.org:5432/calibrify"
    assert restorer.location == "restorer@db.example.org:5432/calibrify"


def test_a_target_without_a_restore_role_cannot_be_restored(load):
    with pytest.raises(ConfigurationError, match="target readonly has no restore_conn_id"):
        cluster_connection(load(), "readonly", CREDENTIALS, for_restore=True)


def test_the_inventory_is_the_database_that_its_connection_names(load):
    inventory = open_inventory(load(), CREDENTIALS)

    assert inventory is not None
    assert inventory.location == "me@db.example.org:5432/inventory"
    assert "hunter2" not in repr(inventory)
