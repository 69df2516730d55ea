"""What guards a bucket: versions, locks, no public, a policy that refuses what no role of ours asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from backstop.commands.prepare.preparation import Difference
from backstop.model.access_policy import VERSION, guards
from backstop.model.policy_cover import denies, statements_of, with_guard

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from backstop.model.access_policy import Place


class Settings(Protocol):
    """:class:`backstop.storage.s3_settings.BucketSettings`."""

    def versioned(self) -> bool: ...
    def locks(self) -> bool: ...
    def closed_to_the_public(self) -> bool: ...
    def encryption(self) -> str | None: ...
    def logged_to(self) -> str | None: ...
    def policy(self) -> dict[str, Any] | None: ...
    def keep_versions(self) -> None: ...
    def close_to_the_public(self) -> None: ...
    def write_policy(self, policy: Mapping[str, Any]) -> None: ...


class VersionsStep:
    """A thief who overwrites or deletes leaves what was as a version."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def differences(self) -> list[Difference]:
        if self._settings.versioned():
            return []
        why = "what somebody overwrites or deletes would be gone"
        return [Difference("versioning", "is off", "on", why)]

    def apply(self) -> None:
        self._settings.keep_versions()


class LocksStep:
    """Asked for in targets.yaml; a bucket has it from its creation, or its owner turns it on."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def differences(self) -> list[Difference]:
        if self._settings.locks():
            return []
        why = "`lock` in targets.yaml asks for it: no backup goes in without; its owner turns it on"
        return [Difference("Object Lock", "is off", "on", why, ours=False)]

    def apply(self) -> None:
        """Nothing of it is ours."""


class GuardsStep:
    """The public, and the statements of the policy that deny; others' statements stay as they are.

    What is denied already is not said again, and nothing that is denied is allowed by what we mend: two
    repositories may share a bucket, and its owner may be stricter than we are.

    Logs and the service's own encryption are told of: where logs go is not ours to choose.
    """

    def __init__(self, settings: Settings, place: Place) -> None:
        self._settings = settings
        self.place = place

    def differences(self) -> list[Difference]:
        return list(self._differences())

    def _differences(self) -> Iterator[Difference]:
        if not self._settings.closed_to_the_public():
            why = "a policy by mistake must not open it to everybody"
            yield Difference("public access", "is not blocked", "blocked", why)
        found = statements_of(self._settings.policy())
        names = {one.get("Sid") for one in found}
        for wanted in guards(self.place):
            if not denies(found, wanted):
                yield Difference(
                    f"statement {wanted['Sid']} of its policy",
                    "says something else" if wanted["Sid"] in names else "is missing",
                    "as include/aws/policies/bucket.json has it",
                    "a stolen credential could do what it denies",
                )
        if self._settings.encryption() is None:
            yield Difference(
                "encryption by the service", "is off", "AES256 or aws:kms", "auditors ask for it", ours=False
            )
        if self._settings.logged_to() is None:
            why = "nobody could tell whose credentials did what"
            yield Difference("access logging", "is off", "on", why, ours=False)

    def apply(self) -> None:
        if not self._settings.closed_to_the_public():
            self._settings.close_to_the_public()
        policy = self._settings.policy() or {"Version": VERSION}
        statements = statements_of(policy)
        for guard in guards(self.place):
            statements = with_guard(statements, guard)
        self._settings.write_policy({**policy, "Statement": statements})
