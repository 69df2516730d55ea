"""Who signs a drill off, with what targets.yaml names. For the CLI and for Airflow alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.settings.arguments import utc_now

if TYPE_CHECKING:
    from backstop.credentials import CredentialSource
    from backstop.model.drill import SignOff
    from backstop.targets import Configuration


def sign_off(
    configuration: Configuration, target: str, credentials: CredentialSource, drill_id: str, said: SignOff
) -> list[str]:
    """See :func:`~backstop.commands.drill.sign_off.sign_off_drill`."""
    from backstop.commands.drill.sign_off import sign_off_drill
    from backstop.wiring import draw_report, inventory_or_why, open_evidence_signer, open_what_can_be

    repositories, unopened = open_what_can_be(configuration, target, credentials)
    inventory, why = inventory_or_why(configuration, credentials)
    missing = sign_off_drill(
        drill_id,
        said,
        target=target,
        repositories=repositories,
        unopened=unopened,
        signer=lambda: open_evidence_signer(configuration, target, credentials),
        render=draw_report,
        inventory=inventory,
        now=utc_now(),
    )
    return [*missing, *([why] if why else [])]
