"""``recover-from-disaster``: for somebody with a terminal, the repositories and the keys; no more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.cli.disaster_at_hand import (
    STARTED_HERE,
    at_hand,
    forget,
    recommended,
    refuse_stale_plan,
)
from backstop.cli.disaster_output import part_words, print_assessment, print_status, seconds_in_words
from backstop.cli.exit_codes import DIFFERENT
from backstop.cli.output import print_fields, print_json, say
from backstop.cli.session import Session, local_user
from backstop.cli.terminal import LaterBar, confirm, declined
from backstop.commands.disaster.carry_out import carry_out
from backstop.commands.disaster.reporting import reporting
from backstop.errors import BackstopError, ConfigurationError, NotFoundError
from backstop.model.access import AccessRole
from backstop.model.canonical import parse_time
from backstop.settings.arguments import parse_moment, utc_now
from backstop.settings.communication import communication
from backstop.settings.disaster import Disasters

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from backstop.commands.disaster.engine import Disaster
    from backstop.commands.disaster.telling import Communication


def recover_from_disaster(arguments: argparse.Namespace) -> int:
    _refuse_contradictions(arguments)
    session = Session(arguments, AccessRole.VERIFIER)
    telling = communication(
        session.configuration,
        session.target_name,
        session.credentials,
        clock=utc_now,
        say=lambda text: say(f"backstop: for those who wait:\n{text}"),
    )
    bar = LaterBar()
    disasters = _disasters(session, arguments, bar, telling)
    for name, why in disasters.unopened.items():
        say(f"backstop: repository {name} cannot be opened: {why}")
    if arguments.declare is not None:
        return _show(_declare(disasters, arguments, arguments.declare), arguments)
    if arguments.status:
        return _show(disasters.open(arguments.incident), arguments)
    if arguments.options:
        return _options(disasters, arguments)
    if arguments.choose is not None:
        return _choose(disasters, arguments)
    if arguments.close is not None:
        disaster = disasters.open(arguments.incident)
        disaster.close(outcome=arguments.close or _as_it_is(disaster))
        return _show(disaster, arguments)
    disaster = at_hand(disasters, arguments.incident) if arguments.carry_on else _go_on(disasters, arguments)
    if not _settle(disaster, arguments):
        return declined()
    return _run(session, arguments, disaster, telling, bar)


def _disasters(
    session: Session, arguments: argparse.Namespace, progress: LaterBar, telling: Communication
) -> Disasters:
    return Disasters(
        session.configuration,
        session.target_name,
        session.credentials,
        by=local_user(),
        progress=progress,
        tell=telling,
        keyring=lambda: session.keyring_for_reading(arguments.escrow_key),
    )


def _refuse_contradictions(arguments: argparse.Namespace) -> None:
    declares = arguments.declare is not None or not _has_mode(arguments)
    runs = arguments.carry_on or not _has_mode(arguments)
    if arguments.noticed_at and not declares:
        raise ConfigurationError("--noticed-at belongs to a declaration", hint="add it to --declare")
    if arguments.before and not (declares or arguments.options):
        raise ConfigurationError(
            "--before belongs to --declare or --options", hint="assess with it, then choose"
        )
    if arguments.components and not (declares or arguments.options or arguments.choose is not None):
        raise ConfigurationError(
            "--component belongs to --declare, --options or --choose", hint="look with it"
        )
    if (arguments.step or arguments.from_step or arguments.redo or arguments.skip) and not runs:
        raise ConfigurationError("--step, --from-step, --redo and --skip belong to --run", hint="add --run")
    if arguments.skip and not arguments.because:
        raise ConfigurationError(
            f"why is {arguments.skip[0]} left out?", hint="add --because WHY; the record keeps it"
        )


def _has_mode(arguments: argparse.Namespace) -> bool:
    given = (arguments.declare, arguments.choose, arguments.close)
    return bool(arguments.status or arguments.options or arguments.carry_on) or any(
        one is not None for one in given
    )


def _declare(disasters: Disasters, arguments: argparse.Namespace, what: str) -> Disaster:
    return disasters.declare(
        what,
        components=arguments.components,
        noticed_at=parse_moment(arguments.noticed_at) if arguments.noticed_at else None,
        before=parse_moment(arguments.before) if arguments.before else None,
    )


def _go_on(disasters: Disasters, arguments: argparse.Namespace) -> Disaster:
    """With the incident that is open, or a new one."""
    try:
        disaster = at_hand(disasters, arguments.incident)
    except NotFoundError:
        if arguments.incident is not None:
            raise
        return _declare(disasters, arguments, STARTED_HERE)
    if arguments.noticed_at or arguments.before or arguments.components:
        raise ConfigurationError(
            f"{disaster.incident_id} is open already, and was declared otherwise",
            hint="leave out --noticed-at, --before and --component, or close it and declare another one",
        )
    return disaster


def _options(disasters: Disasters, arguments: argparse.Namespace) -> int:
    disaster = at_hand(disasters, arguments.incident)
    assessment = disaster.assess(
        before=parse_moment(arguments.before) if arguments.before else None,
        components=[disasters.kind_of(one) for one in arguments.components],
    )
    if arguments.json:
        print_json(assessment)
    else:
        print_assessment(assessment)
    return 0


def _choose(disasters: Disasters, arguments: argparse.Namespace) -> int:
    disaster = at_hand(disasters, arguments.incident)
    components = [disasters.kind_of(one) for one in arguments.components] or None
    plan = disaster.choose(arguments.choose, components=components, because=arguments.because)
    if arguments.json:
        print_json(plan)
    else:
        _print_plan(plan)
    return 0


def _settle(disaster: Disaster, arguments: argparse.Namespace) -> bool:
    """A plan is chosen, and somebody agrees to it. A single step needs no more than that it is named."""
    for step in arguments.skip:
        disaster.skip(step, because=arguments.because)
    if arguments.step:
        if arguments.step.startswith("recover:"):
            refuse_stale_plan(disaster)
        return True
    if not _is_chosen(disaster, arguments):
        assessment = disaster.assess()
        if not arguments.json:
            print_assessment(assessment, planned=True)
        try:
            disaster.choose(recommended(assessment))
        except NotFoundError:
            forget(disaster)
            raise
    if not arguments.json:
        _print_plan(disaster.plan)
    return _agreed(disaster, arguments)


def _run(
    session: Session,
    arguments: argparse.Namespace,
    disaster: Disaster,
    telling: Communication,
    bar: LaterBar,
) -> int:
    if arguments.step:
        with bar:
            result = disaster.run(arguments.step, redo=arguments.step in arguments.redo)
        print_json(result) if arguments.json else print_fields([(arguments.step, result["sentence"])])
        return 0
    every = session.configuration.targets[session.target_name].disaster.progress_every
    with bar, reporting(lambda: _another(session, disaster), telling, every=every, clock=utc_now):
        failed = carry_out(
            disaster,
            redo=_redone(disaster, arguments),
            begins=lambda step: say(f"backstop: {step} …"),
            ended=lambda step, end: _say_end(disaster, step, end),
        )
    _show(disaster, arguments)
    for step, error in failed.items():
        say(f"backstop: {step} failed, and {disaster.incident_id} stays open")
        say(
            f"  next: {error.hint or 'mend it'}; then `recover-from-disaster --run`, or without it: "
            f"`recover-from-disaster --run --skip {step} --because WHY`"
        )
    if failed:
        return next(iter(failed.values())).exit_code
    if left := disaster.state().left():
        say(f"backstop: closed, and not everything is back: {', '.join(left)}")
        return DIFFERENT
    return 0


def _another(session: Session, disaster: Disaster) -> Disaster:
    """The same incident, for another thread: its journal remembers what it has read."""
    named = session.configuration, session.target_name, session.credentials
    return Disasters(*named, by=local_user()).open(disaster.incident_id)


def _is_chosen(disaster: Disaster, arguments: argparse.Namespace) -> bool:
    """With --run, what was chosen counts; without a mode too, once something was."""
    if disaster.plan:
        refuse_stale_plan(disaster)
        return True
    if arguments.carry_on and not arguments.step:
        raise NotFoundError(
            f"nothing is chosen for {disaster.incident_id}",
            hint="look at `--options`, then `--choose` one; or leave out --run: the recommended one is taken",
        )
    return False


def _agreed(disaster: Disaster, arguments: argparse.Namespace) -> bool:
    """Whoever thinks it over is waited for, and that is no downtime of ours."""
    if arguments.yes:
        return True
    disaster.wait_began("a person at the terminal who agrees to the plan")
    try:
        question = f"Bring {', '.join(disaster.plan['order'])} of {disaster.target} back so?"
        return confirm(question, yes=False)
    finally:
        disaster.wait_ended(local_user())


def _redone(disaster: Disaster, arguments: argparse.Namespace) -> set[str]:
    steps = disaster.steps()
    asked = [*arguments.redo, *([arguments.from_step] if arguments.from_step else [])]
    for step in asked:
        if step not in steps:
            raise NotFoundError(f"there is no step {step!r}", hint=f"choose one of: {', '.join(steps)}")
    behind = steps[steps.index(arguments.from_step) :] if arguments.from_step else []
    return {*arguments.redo, *(step for step in behind if step not in arguments.skip)} - {"choose"}


def _say_end(disaster: Disaster, step: str, end: Mapping[str, Any] | BackstopError) -> None:
    elapsed = seconds_in_words((utc_now() - parse_time(disaster.status()["declared_at"])).total_seconds())
    if isinstance(end, BackstopError):
        say(f"backstop: {step} FAILED, {elapsed} on the clock: {end.message}")
    else:
        say(f"backstop: {step}: {end['outcome']}, {elapsed} on the clock: {end['sentence']}")


def _as_it_is(disaster: Disaster) -> str:
    left = ", ".join(disaster.state().left())
    return f"closed by hand; not back: {left}" if left else "closed by hand"


def _show(disaster: Disaster, arguments: argparse.Namespace) -> int:
    status = disaster.status()
    if arguments.json:
        print_json(status)
    else:
        print_status(status)
    return 0


def _print_plan(plan: Mapping[str, Any]) -> None:
    print_fields(
        [
            ("chosen", f"{plan['option']}: {plan['title']}"),
            *(("part", part_words(part)) for part in plan["parts"]),
            *(("risk", sentence) for sentence in plan["risk"]),
        ]
    )
