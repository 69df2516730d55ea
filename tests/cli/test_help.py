"""Every verb explains itself, and the manual names all of it."""

from __future__ import annotations

import pytest

from backstop.cli.parser import build_parser
from tests.cli.installation import CHECKOUT


def test_every_verb_has_help_that_names_the_exit_codes(capsys):
    actions = build_parser()._subparsers._group_actions
    verbs = list(actions[0].choices)

    for verb in verbs:
        with pytest.raises(SystemExit) as ended:
            build_parser().parse_args([verb, "--help"])
        assert ended.value.code == 0
        text = capsys.readouterr().out
        assert "exit codes:" in text
        assert "--json" in text
    assert {"back-up-database", "list", "show", "verify", "restore-database", "decrypt"} <= set(verbs)


def test_every_verb_is_described_in_the_manual():
    manual = (CHECKOUT / "docs" / "cli.md").read_text(encoding="utf-8")
    actions = build_parser()._subparsers._group_actions

    for verb, parser in actions[0].choices.items():
        assert f"`{verb}`" in manual
        for action in parser._actions:
            for flag in action.option_strings:
                assert flag in manual, f"{verb} {flag}"
