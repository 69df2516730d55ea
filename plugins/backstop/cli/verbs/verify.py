"""``verify``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.cli.exit_codes import DAMAGED, DONE
from backstop.cli.output import print_json, print_table, say
from backstop.cli.session import Session
from backstop.cli.terminal import progress_bar
from backstop.commands.bookkeeping import enter_backup
from backstop.commands.proof.prove import prove
from backstop.commands.proof.work import unverified
from backstop.errors import BackstopError
from backstop.model.access import AccessRole
from backstop.settings.arguments import utc_now
from backstop.settings.proof import proof_settings, verify_policies
from backstop.wiring import (
    cluster_connection,
    open_every_repository,
    open_inventory,
    open_repositories,
    open_signer,
    verification_server,
)

if TYPE_CHECKING:
    import argparse

    from backstop.commands.proof.work import Policies
    from backstop.model.backup import BackupLabel
    from backstop.model.proof import Proof
    from backstop.repository.catalog import Repository


def verify(arguments: argparse.Namespace) -> int:
    session = Session(arguments, AccessRole.VERIFIER)
    every = open_every_repository(session.configuration, session.target_name, session.credentials)
    repositories = [one for one in every if arguments.repository in (None, one.name)]
    if not repositories:
        session.repository(arguments.repository)  # says which there are
    work = _work(session, repositories, arguments)
    proofs: list[tuple[str, Proof]] = []
    failures: list[tuple[str, BackupLabel, BackstopError]] = []
    verifier = _Verifier(session)
    for repository, label in work:
        try:
            proofs.append((repository.name, verifier.verify(repository, label)))
        except BackstopError as error:
            # The others can still be judged; this one stays on the list.
            failures.append((repository.name, label, error))
    _print(proofs, failures, as_json=arguments.json)
    if failures and not proofs:
        raise failures[0][2]
    if any(not proof.matched for _, proof in proofs):
        return DAMAGED
    return failures[0][2].exit_code if failures else DONE


def _work(
    session: Session, repositories: list[Repository], arguments: argparse.Namespace
) -> list[tuple[Repository, BackupLabel]]:
    if arguments.label is not None:
        _, label = session.locate(arguments.label, only=arguments.repository, dumps=True)
        taken = [one for one in repositories if _policies(session, one).cover(label)]
        return [(repository, label) for repository in taken or repositories]
    by_name = {repository.name: repository for repository in repositories}
    return [
        (by_name[candidate.repository], candidate.label)
        for repository in repositories
        for candidate in unverified([repository], _policies(session, repository))
    ]


def _policies(session: Session, repository: Repository) -> Policies:
    return verify_policies(session.configuration, session.target_name, repository.name)


class _Verifier:
    """Opens once what every verification of a run needs."""

    def __init__(self, session: Session) -> None:
        self._keyring = session.keyring_for_reading(None)
        self._signer = open_signer(session.configuration, session.target_name, "proof")
        configuration, target = session.configuration, session.target_name
        server = verification_server(configuration, target, session.credentials)
        self._settings = proof_settings(
            configuration,
            target,
            open_repositories(configuration, target, session.credentials),
            server=server,
            reader=lambda: cluster_connection(configuration, target, session.credentials),
        )
        self._inventory = open_inventory(session.configuration, session.credentials)

    def verify(self, repository: Repository, label: BackupLabel) -> Proof:
        with progress_bar() as progress:
            proof = prove(
                repository=repository,
                label=label,
                keyring=self._keyring,
                signer=self._signer,
                settings=self._settings,
                clock=utc_now,
                progress=progress,
            )
        for sentence in enter_backup(self._inventory, [repository], label):
            say(f"backstop: {sentence}")
        return proof


def _print(
    proofs: list[tuple[str, Proof]],
    failures: list[tuple[str, BackupLabel, BackstopError]],
    *,
    as_json: bool,
) -> None:
    for name, label, error in failures:
        say(f"backstop: {label} in {name} could not be judged: {error}")
    if as_json and (proofs or not failures):
        print_json(
            {
                "proofs": [{"repository": name, **proof.to_dict()} for name, proof in proofs],
                "not_judged": [
                    {"repository": name, "label": str(label), "error": str(error)}
                    for name, label, error in failures
                ],
            }
        )
    elif proofs:
        print_table(["LABEL", "REPOSITORY", "RESULT", "SECONDS"], [_row(*one) for one in proofs], right=(3,))
        for name, proof in proofs:
            for difference in proof.differences:
                print(f"{proof.label} in {name}: {difference}")
    elif not failures:
        print("nothing to prove: every backup that verify.policy wants proven has been verified")


def _row(name: str, proof: Proof) -> list[Any]:
    result = "proven" if proof.matched else "FAILED"
    return [str(proof.label), name, result, f"{proof.durations.get('total', 0):.1f}"]
