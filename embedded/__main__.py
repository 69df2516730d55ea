"""``python -m embedded up|down|status|drill`` (``make up``, ``make down``, ``make status``)."""

from __future__ import annotations

import argparse
import errno
import json
import shlex
import shutil
import sys
from dataclasses import asdict
from datetime import datetime, timezone

from backstop.errors import BackstopError
from backstop.model.canonical import format_time
from embedded.errors import StackError
from embedded.home import Home
from embedded.stack import Part, Stack
from embedded.steps import Steps


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; 0 done (status: all healthy), 1 failed (status: something is not), 130 interrupted."""
    parser = argparse.ArgumentParser(prog="python -m embedded", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("up", help="start what does not run, and wait until it is healthy")
    verbs.add_parser("down", help="stop everything, keep its state")
    status = verbs.add_parser("status", help="addresses, process ids, health, memory")
    status.add_argument("--json", action="store_true", help="for programs")
    verbs.add_parser("wipe", help="stop everything and delete its state: databases, backups and keys")
    drill = verbs.add_parser("drill", help="rehearse a disaster through Airflow; `make demo` first")
    drill.add_argument("--scenario", default="", help="what is lost: all, database, tree:media, airflow, …")
    options = parser.parse_args(arguments)
    try:
        stack = Stack(Home.from_environment())
        if options.verb == "status":
            return _status(stack, as_json=options.json)
        if options.verb == "drill":
            return _drill(stack, options.scenario)
        {"up": _up, "down": _down, "wipe": _wipe}[options.verb](stack)
    except BackstopError as error:
        print(f"error: {error.message}", file=sys.stderr)
        if error.hint:
            print(f"  next: {error.hint}", file=sys.stderr)
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(f"error: the disk is full: {error}", file=sys.stderr)
        print("  next: free some space and run this again; it continues where it stopped", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted\n  next: run this again to continue, or `make down` to stop", file=sys.stderr)
        return 130
    return 0


def _up(stack: Stack) -> None:
    steps = Steps()
    print(f"Starting the embedded stack in {stack.home.root}")
    stack.up(steps)
    server = stack.airflow()
    environment = shlex.quote(str(stack.home.environment))
    print(
        f"\nUp after {steps.seconds():.0f} s. Airflow: {server.url}\n"
        f"  sign in as admin, approver or viewer; passwords: {server.directory / 'passwords.json'}\n"
        f"  recoverability: {server.page}\n"
        f"  metrics: {server.metrics}, with the bearer token in {stack.home.metrics_token}\n"
        f"  command line: . {environment} && .venv/bin/python -m backstop --help\n"
        "  stop with `make down`; what it holds stays"
    )


def _down(stack: Stack) -> None:
    stack.down(Steps())


def _wipe(stack: Stack) -> None:
    root = stack.home.root
    if root.exists() and not stack.home.exists:
        raise StackError(f"{root} holds no embedded stack", hint="check BACKSTOP_HOME")
    steps = Steps()
    stack.down(steps)
    if root.exists():
        with steps.step("State deleted"):
            shutil.rmtree(root)


def _status(stack: Stack, *, as_json: bool) -> int:
    parts = stack.status()
    if as_json:
        print(json.dumps([asdict(part) for part in parts], indent=1))
    else:
        for part in parts:
            print(_line(part))
        print(f"{'in all':<24} {'':>8} {sum(part.memory_bytes for part in parts) / 1e6:>7.0f} MB")
    return 0 if all(part.health == "healthy" for part in parts) else 1


def _drill(stack: Stack, scenario: str) -> int:
    from embedded.airflow_api import AirflowApi
    from embedded.drill_demo import DrillDemo

    ailing = [part.name for part in stack.status() if part.health != "healthy"]
    if ailing:
        raise StackError(
            f"the stack does not run: {', '.join(ailing)}", hint="`make up`, then run this again"
        )
    server, steps = stack.airflow(), Steps()
    admin = AirflowApi(server.url, sign_in=lambda: server.token("admin"))
    approver = AirflowApi(server.url, sign_in=lambda: server.token("approver"))
    demo = DrillDemo(steps)
    # Drawn ones may be of the demo's own disasters: what was missing then would be missed.
    demo.run(admin, approver, scenario=scenario, moment=format_time(datetime.now(timezone.utc)))
    for one in demo.record["components"]:
        print(f"  {one['component']:<12} back after {one['downtime']:.0f} s, from {one['repository']}")
    print(
        f"\nReady to be signed off after {demo.seconds:.0f} s\n  report: {server.url}/backstop/targets/"
        f"{demo.record['target']}/drills/{demo.record['drill_id']}"
    )
    return 0


def _line(part: Part) -> str:
    memory = f"{part.memory_bytes / 1e6:>7.0f} MB" if part.pid else f"{'':>10}"
    return f"{part.name:<24} {part.pid or '':>8} {memory}  {part.health:<14} {part.address}"


if __name__ == "__main__":
    sys.exit(main())
