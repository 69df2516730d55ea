"""``hold``, ``release-hold`` and ``holds``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.cli.exit_codes import DONE, PARTIAL
from backstop.cli.output import human_time, print_json, print_table, say
from backstop.cli.session import LATEST, LATEST_PROVEN, Session, chosen_target, local_user
from backstop.commands.holding import HoldReport, KnownHold, known_holds, place_hold
from backstop.commands.holding import release_hold as release
from backstop.credentials import default_credentials
from backstop.model.access import AccessRole
from backstop.settings.arguments import parse_label, parse_moment, utc_now
from backstop.targets import load_targets
from backstop.wiring import open_signer, open_what_can_be

if TYPE_CHECKING:
    import argparse
    from datetime import datetime

    from backstop.errors import BackstopError
    from backstop.model.backup import BackupLabel


def hold(arguments: argparse.Namespace) -> int:
    session = Session(arguments, AccessRole.VERIFIER)
    label = _label(session, arguments.label)
    opened, unopened = open_what_can_be(session.configuration, session.target_name, session.credentials)
    report = place_hold(
        session.target_name,
        opened,
        label,
        reason=arguments.reason,
        who=arguments.who or local_user(),
        until=parse_moment(arguments.until) if arguments.until else None,
        now=utc_now(),
    )
    return _tell(report, unopened, done="held", as_json=arguments.json)


def release_hold(arguments: argparse.Namespace) -> int:
    session = Session(arguments, AccessRole.VERIFIER)
    signer = open_signer(session.configuration, session.target_name, "proof")
    opened, unopened = open_what_can_be(
        session.configuration,
        session.target_name,
        session.credentials,
        [arguments.repository] if arguments.repository else None,
    )
    report = release(
        opened,
        parse_label(arguments.label),
        arguments.number,
        who=arguments.who or local_user(),
        now=utc_now(),
        signer=signer,
    )
    return _tell(report, unopened, done="released", as_json=arguments.json)


def list_holds(arguments: argparse.Namespace) -> int:
    """A repository that does not answer is named, and the others are read; the exit code is its error's."""
    configuration = load_targets(arguments.targets)
    credentials = default_credentials(AccessRole.VERIFIER)
    named = [chosen_target(configuration, arguments.target)] if arguments.target else []
    now = utc_now()
    code = DONE
    document: dict[str, Any] = {}
    for target in named or sorted(configuration.targets):
        opened, failed = open_what_can_be(configuration, target, credentials)
        known, unread = known_holds(opened)
        failures = {**failed, **unread}
        for name, error in failures.items():
            code = code or error.exit_code
            say(f"backstop: the holds of {target} in {name}: {error}")
        shown = [one for one in known if arguments.all or one.hold.in_force(now)]
        document[target] = [_document(one, now) for one in shown]
        if not arguments.json:
            if len(configuration.targets) > 1 and not arguments.target:
                print(f"{target}:")
            _print(shown, now, complete=not failures)
    if arguments.json:
        print_json({"targets": document})
    return code


def _label(session: Session, text: str) -> BackupLabel:
    if text in (LATEST, LATEST_PROVEN):
        return session.locate(text)[1]
    return parse_label(text)


def _tell(report: HoldReport, unopened: dict[str, BackstopError], *, done: str, as_json: bool) -> int:
    report.failed.update(unopened)
    for name, error in report.failed.items():
        say(f"backstop: not {done} in {name}: {error}")
    if as_json:
        print_json({**report.to_dict(), "complete": report.complete})
    else:
        for name, hold in report.holds.items():
            print(f"{report.label} is {done} in {name}: {hold}")
        for name in report.absent:
            print(f"{report.label} is not in {name}")
    return DONE if report.complete else PARTIAL


def _document(known: KnownHold, now: datetime) -> dict[str, Any]:
    return {**known.hold.to_dict(), "state": known.hold.state(now), "repositories": dict(known.numbers)}


def _print(shown: list[KnownHold], now: datetime, *, complete: bool) -> None:
    if not shown:
        if complete:
            print("no holds")
        return
    rows = [
        [
            one.hold.label.text,
            _numbers(one),
            one.hold.state(now),
            ", ".join(one.numbers),
            one.hold.who,
            human_time(one.hold.until) if one.hold.until else "released",
            one.hold.damage or one.hold.reason,
        ]
        for one in shown
    ]
    print_table(["LABEL", "NUMBER", "STATE", "REPOSITORIES", "WHO", "UNTIL", "REASON"], rows)


def _numbers(known: KnownHold) -> str:
    if len(set(known.numbers.values())) == 1:
        return str(known.hold.number)
    return ", ".join(f"{number} in {name}" for name, number in known.numbers.items())
