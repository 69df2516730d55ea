"""include/aws: policies that say what the product's own list of grants says, and Terraform that uses them."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

import boto3
import hcl2
import pytest
from moto.server import ThreadedMotoServer

from backstop.model.access import AccessRole
from tests.include.aws_linter import parliament

CHECKOUT = Path(__file__).parents[2]
AWS = CHECKOUT / "include" / "aws"
POLICIES = AWS / "policies"
FILLED = {
    "account": "123456789012",
    "administrator": "arn:aws:iam::123456789012:role/administrator",
    "bucket": "lab-backups",
    "name": "backstop",
    "partition": "aws",
    "prefix": "lab/",
    "target": "calibrify",
}
MOCK = """\
provider "aws" {
  region                      = "eu-central-1"
  access_key                  = "mock"
  secret_key                  = "mock"
  s3_use_path_style           = true
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  endpoints {
    iam = "PLACE"
    kms = "PLACE"
    s3  = "PLACE"
    sts = "PLACE"
  }
}
"""
EXPECTED = {
    # Who may set a bucket's policy may give themselves all of it: hence an administrator's role.
    "preparer.json": {"RESOURCE_POLICY_PRIVILEGE_ESCALATION"},
    # The policy of a key is about that key alone, whatever its `Resource` says.
    "key.json": {"RESOURCE_STAR"},
}


def filled(name: str) -> str:
    text = (POLICIES / name).read_text()
    for variable, value in FILLED.items():
        text = text.replace("${" + variable + "}", value)
    assert "${" not in text
    return text


def names() -> list[str]:
    return sorted(path.name for path in POLICIES.glob("*.json"))


def test_the_policies_are_those_that_the_grants_make():
    path = CHECKOUT / "scripts" / "write_policies.py"
    spec = importlib.util.spec_from_file_location("write_policies", path)
    assert spec is not None
    assert spec.loader is not None
    writer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(writer)

    made = {name: writer.text_of(policy) for name, policy in writer.policies().items()}

    assert {name: (POLICIES / name).read_text() for name in names()} == made, "scripts/write_policies.py"
    assert set(made) == {f"{role.value}.json" for role in AccessRole} | {"bucket.json", "key.json"}


@pytest.mark.parametrize("name", names())
def test_aws_knows_every_action_and_condition_and_nothing_escalates(name):
    findings = parliament.analyze_policy_string(filled(name)).findings

    assert {one.issue for one in findings} == EXPECTED.get(name, set())


@pytest.mark.parametrize("name", names())
def test_a_policy_fits_into_what_aws_takes(name):
    size = len(json.dumps(json.loads(filled(name)), separators=(",", ":")))

    # Inline policies of a role together 10,240 characters; of a bucket 20 KB; of a key 32 KB.
    assert size < 6_000


def terraform() -> dict[str, dict]:
    parsed = {path.name: hcl2.loads(path.read_text()) for path in sorted((AWS / "terraform").glob("*.tf"))}
    assert set(parsed) == {"main.tf", "outputs.tf", "roles.tf", "variables.tf", "versions.tf"}
    return parsed


def test_terraform_makes_every_role_and_fills_in_every_name_of_the_policies():
    main = (AWS / "terraform" / "main.tf").read_text()
    terraform()

    listed = (AWS / "terraform" / "roles.tf").read_text()
    roles = re.search(r"toset\(\[(.*?)\]\)", listed, re.DOTALL)
    assert roles is not None
    assert set(re.findall(r'"(\w+)"', roles[1])) == {role.value for role in AccessRole}
    wanted = set().union(*(re.findall(r"\$\{(\w+)\}", (POLICIES / name).read_text()) for name in names()))
    given = re.search(r"names = \{(.*?)\n  \}", main, re.DOTALL)
    assert given is not None
    assert set(re.findall(r"^\s+(\w+)\s+=", given[1], re.MULTILINE)) == wanted


def test_terraform_leaves_out_none_of_what_guards_a_bucket():
    kinds = set(re.findall(r'^resource "(\w+)"', (AWS / "terraform" / "main.tf").read_text(), re.MULTILINE))

    assert kinds >= {
        "aws_s3_bucket_versioning", "aws_s3_bucket_public_access_block", "aws_s3_bucket_policy",
        "aws_s3_bucket_logging", "aws_s3_bucket_ownership_controls",
        "aws_s3_bucket_server_side_encryption_configuration", "aws_kms_key",
    }  # fmt: skip


def test_a_role_that_nobody_is_named_for_is_nobodys_to_take(tmp_path):
    program = terraform_program()
    for name in ("roles.tf", "variables.tf"):
        shutil.copy(AWS / "terraform" / name, tmp_path)
    (tmp_path / "asked.tf").write_text('output "trust" {\n  value = local.trust\n}\n')
    worker = "arn:aws:iam::123456789012:role/worker"
    given = [
        "-var=bucket=lab-backups", "-var=log_bucket=lab-logs", '-var=targets=["calibrify"]',
        f'-var=workers={{writer=["{worker}"],expirer=[]}}', f"-var=administrator={FILLED['administrator']}",
    ]  # fmt: skip

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [program, *arguments, "-no-color"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("init", "-input=false")
    run("apply", "-input=false", "-auto-approve", *given)
    made = json.loads(run("output", "-json", "trust"))

    allowed = {
        role: one["Principal"]["AWS"]
        for role, trust in made.items()
        for one in trust["Statement"]
        if one["Effect"] == "Allow"
    }
    assert allowed == {"writer": [worker]}
    assert set(made) == {role.value for role in AccessRole}
    for role in set(made) - {"writer"}:
        assert [(one["Effect"], one["Principal"]) for one in made[role]["Statement"]] == [
            ("Deny", {"AWS": ["*"]})
        ]


def terraform_program() -> str:
    program = shutil.which("terraform") or shutil.which("tofu")
    if program is None:
        pytest.skip("neither terraform nor tofu is on this machine")
    return program


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    """Runs terraform on a copy of the module whose provider talks to moto's server, a MOCK of AWS."""
    program = terraform_program()
    folder = tmp_path_factory.mktemp("terraform") / "aws"
    shutil.copytree(AWS, folder)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    place = f"http://{host}:{port}"
    (folder / "terraform" / "mock.tf").write_text(MOCK.replace("PLACE", place))

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *arguments, "-no-color"],
            cwd=folder / "terraform",
            capture_output=True,
            text=True,
            check=False,
        )

    try:
        if run("init", "-backend=false", "-input=false").returncode:
            pytest.skip("terraform cannot have its AWS provider here")
        yield run, place
    finally:
        server.stop()


def test_terraform_finds_the_module_valid(module):
    run, _ = module

    done = run("validate")

    assert done.returncode == 0, done.stdout + done.stderr


def test_terraform_makes_it_all_and_takes_it_away_again(module):
    run, place = module
    client = boto3.client(
        "s3",
        endpoint_url=place,
        region_name="eu-central-1",
        aws_access_key_id="mock",
        aws_secret_access_key="mock",
    )
    where = {"LocationConstraint": "eu-central-1"}
    client.create_bucket(Bucket="lab-logs", CreateBucketConfiguration=where)
    given = [
        "-input=false", "-auto-approve", "-var=bucket=lab-backups", "-var=log_bucket=lab-logs",
        '-var=targets=["calibrify"]', "-var=workers={}", f"-var=administrator={FILLED['administrator']}",
    ]  # fmt: skip

    made = run("apply", *given)

    assert made.returncode == 0, made.stdout + made.stderr
    assert client.get_bucket_versioning(Bucket="lab-backups")["Status"] == "Enabled"
    statements = json.loads(client.get_bucket_policy(Bucket="lab-backups")["Policy"])["Statement"]
    assert {one["Sid"] for one in statements} >= {"TlsOnly", "EvidenceIsNeverDeleted", "ExpirersAloneDelete"}
    gone = run("destroy", *given)
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert [one["Name"] for one in client.list_buckets()["Buckets"]] == ["lab-logs"]
