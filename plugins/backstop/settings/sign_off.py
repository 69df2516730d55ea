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
    from backstop.wiring import draw_report, open_every_repository, open_evidence_signer, open_inventory

    return sign_off_drill(
        drill_id,
        said,
        target=target,
        repositories=open_every_repository(configuration, target, credentials),
        signer=lambda: open_evidence_signer(configuration, target, credentials),
        render=draw_report,
        inventory=open_inventory(configuration, credentials),
        now=utc_now(),
    )
