"""What importing the encryption SDK costs and leaves behind, each in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys

import pytest


def said(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_sdk_comes_without_boto3():
    program = (
        "import sys; from backstop.crypto.sdk import load_sdk; load_sdk(); print('boto3' in sys.modules)"
    )

    assert said(program) == "False"


@pytest.mark.parametrize("before", ["", "import boto3.session; "])
def test_kms_finds_boto3_all_the_same(before: str):
    program = (
        f"{before}from backstop.crypto.sdk import load_sdk; load_sdk(); "
        "from aws_encryption_sdk.key_providers import kms; import boto3.session; "
        "print(kms.boto3.session.Session is boto3.session.Session)"
    )

    assert said(program) == "True"


def test_who_imports_boto3_meanwhile_gets_the_real_one():
    program = (
        "import sys; from backstop.crypto import sdk\n"
        "with sdk._boto3_postponed():\n"
        "    import boto3\n"
        "    print(boto3.session.Session.__module__, sys.modules['boto3'].__file__ is not None)\n"
        "print(hasattr(sys.modules['boto3'], '__path__'))"
    )

    assert said(program).splitlines() == ["boto3.session True", "True"]
