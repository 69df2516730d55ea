"""``check-targets`` and ``init-keys``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from backstop.cli.exit_codes import DONE, MISCONFIGURED
from backstop.cli.output import print_fields, print_json, say
from backstop.errors import ConfigurationError
from backstop.model.access import AccessRole
from backstop.targets import load_targets, targets_path

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from backstop.targets import KmsKeys


def check_targets(arguments: argparse.Namespace) -> int:
    if arguments.schema:
        from backstop.targets.schema import schema_text

        sys.stdout.write(schema_text())
        return 0
    file = targets_path(arguments.targets)
    if arguments.json:
        return _check_as_json(file)
    configuration = load_targets(file)
    names = ", ".join(sorted(configuration.targets)) or "none"
    if not configuration.broken:
        sys.stdout.write(f"{file}: no mistakes; targets: {names}\n")
        return DONE
    for broken in configuration.broken:
        say(f"backstop: {broken.every_reason}")
        if broken.targets:
            say(f"backstop: disabled until this is corrected: {', '.join(broken.targets)}")
    sys.stdout.write(f"{file}: {len(configuration.broken)} files with mistakes; targets that work: {names}\n")
    return MISCONFIGURED


def pools(arguments: argparse.Namespace) -> int:
    """A pool that Airflow has not runs nothing: this makes a file that brings them all."""
    configuration = load_targets(arguments.targets)
    print_json(
        {
            name: {"slots": slots, "description": "Backstop, targets.yaml", "include_deferred": False}
            for name, slots in configuration.pools.items()
        }
    )
    return DONE


def _check_as_json(file: Path) -> int:
    from backstop.targets import find_mistakes

    mistakes = [
        {
            **({"file": mistake.position.file} if mistake.position.file else {}),
            "line": mistake.position.line,
            "column": mistake.position.column,
            "where": mistake.where,
            "what": mistake.what,
        }
        for mistake in find_mistakes(file)
    ]
    print_json({"file": str(file), "mistakes": mistakes})
    return MISCONFIGURED if mistakes else DONE


def init_keys(arguments: argparse.Namespace) -> int:
    """What is there already is kept; so a run that was interrupted is finished by the next."""
    from backstop.cli.session import chosen_target
    from backstop.crypto.keyring import LocalKeyring
    from backstop.crypto.signing import create_signing_keys
    from backstop.settings.arguments import utc_now
    from backstop.settings.keys import find_keys

    configuration = load_targets(arguments.targets)
    if arguments.keys is not None:
        keys = find_keys(configuration, arguments.keys)
    else:
        keys = configuration.keys[configuration.targets[chosen_target(configuration, arguments.target)].keys]
    made: dict[str, str] = {}
    if keys.storage == "local":
        if arguments.new_generation:
            newest = LocalKeyring.load(keys.path).add_generation(utc_now()).generations[-1]
            made["key ring"] = (
                f"{keys.path} has the new key {newest.id}, which wraps from now on; copy the ring again, and "
                f"write the day into keys.{keys.name}.escrow"
            )
        elif keys.path.exists():
            LocalKeyring.load(keys.path)
            made["key ring"] = f"{keys.path} was there already and is left as it is"
        else:
            LocalKeyring.create(keys.path, utc_now())
            made["key ring"] = (
                f"{keys.path} made; copy it to a safe place, then say where in keys.{keys.name}.escrow"
            )
    elif arguments.new_generation:
        raise ConfigurationError(
            f"{keys.key_arn} is kept by AWS KMS: generations are made there",
            hint=f"aws kms enable-key-rotation --key-id {keys.key_arn}",
        )
    else:
        made["key"] = f"{keys.key_arn} is kept by AWS KMS"
    trusted = keys.signing / "trusted.json"
    if trusted.exists():
        made["signing keys"] = f"{keys.signing} has them already; they are left as they are"
    else:
        create_signing_keys(keys.signing)
        made["signing keys"] = f"{keys.signing} made; proof.pem belongs on the machines that verify, alone"
    if keys.storage == "aws-kms" and keys.evidence_key_arn is not None:
        made["evidence key"] = _trust_evidence_key(keys)
    if arguments.json:
        print_json(made)
    else:
        print_fields(list(made.items()))
    return 0


def _trust_evidence_key(keys: KmsKeys) -> str:
    """Whoever reads evidence verifies it without KMS, by the public half."""
    from backstop.credentials import default_credentials
    from backstop.crypto.signing import trust_signer
    from backstop.wiring import open_kms_signer

    signer = open_kms_signer(keys, default_credentials(AccessRole.VERIFIER))
    if not trust_signer(keys.signing, signer.key_id, signer.trusted):
        return f"{signer.arn} ({signer.key_id}) is trusted already"
    return (
        f"{signer.arn} ({signer.key_id}) is trusted now; copy {keys.signing}/trusted.json to other machines"
    )
