"""Who may use a DAG that serves one target, or several."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from backstop.operators.roles import RIGHTS, roles_for
from backstop.targets.access import Access


def target(**access: Any) -> Any:
    return SimpleNamespace(access=Access(**access))


def test_without_a_word_nothing_changes():
    assert roles_for("restore", [target(), target(expire=["cleaners"])]) is None


def test_a_named_role_may_start_it_and_answer_its_forms_but_not_delete_what_is_known_of_it():
    named = roles_for("restore", [target(restore=["restorers"])])

    assert named == {"restorers": RIGHTS}
    assert not any("delete" in action for actions in RIGHTS.values() for action in actions)


@pytest.mark.parametrize(
    ("accesses", "roles"),
    [
        (({"restore": ["a", "b"]}, {"restore": ["b", "c"]}), {"b"}),
        (({"restore": ["a"]}, {"restore": ["b"]}), set()),
        (({"restore": ["a"]}, {}), set()),
        (({}, {"restore": ["a"]}), set()),
        (({"restore": []},), set()),
    ],
)
def test_a_form_that_offers_several_targets_is_for_those_who_may_have_each(accesses, roles):
    assert set(roles_for("restore", [target(**access) for access in accesses]) or {}) == roles
    assert roles_for("restore", [target(**access) for access in accesses]) is not None
