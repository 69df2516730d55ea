"""What targets.yaml says of a disaster, as the engine of :mod:`backstop.commands.disaster` takes it."""

from __future__ import annotations

import socket
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from backstop.commands.disaster.assess import Assessing
from backstop.commands.disaster.component import Sources
from backstop.commands.disaster.engine import Disaster
from backstop.commands.disaster.infrastructure import Ground
from backstop.commands.disaster.record import incident_record
from backstop.commands.progress import Progress, Silent
from backstop.errors import BackstopError, ConfigurationError, NotFoundError
from backstop.model.canonical import format_time
from backstop.model.incident import EventKind
from backstop.model.words import one_line
from backstop.repository.incidents import IncidentJournal, new_incident_id
from backstop.settings.arguments import utc_now
from backstop.settings.disaster_components import (
    DATABASE,
    alternatives_of,
    component_of,
    database_kind,
    objectives_of,
    order_of,
)
from backstop.wiring import (
    cheapest_first,
    find_target,
    inventory_or_why,
    open_keyring,
    open_what_can_be,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime, timedelta
    from pathlib import Path

    from backstop.credentials import CredentialSource
    from backstop.crypto.key_encryption import Keyring
    from backstop.model.drill_samples import Sample
    from backstop.model.measured import CheckedItem
    from backstop.repository.catalog import Repository
    from backstop.targets import Configuration


class Disasters:
    """Those of one target, and what is needed to go on with one.

    :param by: who does it, for the journal.
    :param tell: says to people how it stands; None: nobody is told.
    :param escrow_key: an offline key, where the usual ones are lost too.
    """

    def __init__(
        self,
        configuration: Configuration,
        target: str,
        credentials: CredentialSource,
        *,
        by: str,
        progress: Progress | None = None,
        clock: Callable[[], datetime] = utc_now,
        tell: Callable[[Disaster, str], Sequence[str] | None] | None = None,
        escrow_key: Path | None = None,
        keyring: Callable[[], Keyring] | None = None,
    ) -> None:
        self._configuration = configuration
        self._target = find_target(configuration, target)
        self._name = target
        self._credentials = credentials
        self._by = by
        self._progress = progress or Silent()
        self._clock = clock
        self._tell = tell
        self._repositories, failed = open_what_can_be(
            configuration, target, credentials, cheapest_first(configuration, target)
        )
        self.unopened = {name: error.message for name, error in failed.items()}
        """By repository that cannot be opened: why."""
        # Once: whoever has a password on the offline key is asked for it once.
        self._keyring = lru_cache(1)(
            keyring
            or (
                lambda: open_keyring(
                    configuration, target, credentials, for_reading=True, escrow_key=escrow_key
                )
            )
        )
        self.journal = IncidentJournal(self._hurried(), target, clock=clock)

    def open(self, incident_id: str | None = None) -> Disaster:
        """The one of that id; None: the only one that nobody has closed.

        :raises NotFoundError: there is none. :raises ConfigurationError: there are several.
        """
        if incident_id is not None:
            disaster = self._disaster(incident_id)
            disaster.state()
            return disaster
        found = self.journal.open_incidents()
        if not found:
            raise NotFoundError(
                f"{self._name} has no open incident",
                hint=f"declare one: `python -m backstop recover-from-disaster --target {self._name} "
                "--declare 'what is lost'`",
            )
        if len(found) > 1:
            raise ConfigurationError(
                f"{self._name} has {len(found)} open incidents: {', '.join(found)}",
                hint="add --incident with the one that is meant, and close the others",
            )
        return self._disaster(found[0])

    def declare(
        self,
        what: str,
        *,
        components: Sequence[str] = (),
        noticed_at: datetime | None = None,
        before: datetime | None = None,
    ) -> Disaster:
        """Say that something is lost: the clock of the objectives runs from now, or from ``noticed_at``.

        :param components: that are lost, however they look: ``database``, ``tree:<name>``.
        :param before: a moment just before a mistake or an attack.
        :raises NotFoundError: the target has no such component.
        :raises ConfigurationError: nothing is said, a moment lies ahead, or an incident is open already.
        """
        now = self._clock()
        if not what.strip():
            raise ConfigurationError("what is lost?", hint="say it in a few words: the record keeps them")
        for name, moment in (("noticed", noticed_at), ("before", before)):
            if moment is not None and moment > now:
                raise ConfigurationError(
                    f"{name}: {format_time(moment)} lies ahead of this machine's clock, {format_time(now)}",
                    hint="correct the time, or its zone",
                )
        kinds = [self.kind_of(one) for one in components]
        if already := self.journal.open_incidents():
            raise ConfigurationError(
                f"{already[0]} of {self._name} is open already",
                hint="go on with it, without --declare; or close it first: --close WORDS",
            )
        incident_id = new_incident_id(now)
        self.journal.append(
            incident_id,
            EventKind.DECLARED,
            {
                "by": self._by,
                "what": one_line(what),
                "components": kinds,
                "clock_from": format_time(noticed_at or now),
                "before": format_time(before) if before else None,
            },
        )
        return self._disaster(incident_id)

    def kind_of(self, component: str) -> str:
        """``base`` or ``dump`` of ``database``. :raises NotFoundError: the target has no such component."""
        kind = database_kind(self._target) if component == DATABASE else component
        known = [*order_of(self._target), *alternatives_of(self._target).values()]
        if kind not in known:
            names = [DATABASE, *(one for one in known if one.startswith("tree:"))]
            raise NotFoundError(
                f"target {self._name} has no component {component!r}", hint=f"it has: {', '.join(names)}"
            )
        return kind

    def _disaster(self, incident_id: str) -> Disaster:
        infrastructure = self._target.disaster.infrastructure
        return Disaster(
            incident_id=incident_id,
            target=self._name,
            by=self._by,
            journal=self.journal,
            assessing=self._assessing(incident_id),
            sources=lambda: Sources(self._name, self._answering(), self._keyring),
            ground=Ground(infrastructure.prepare, infrastructure.check, infrastructure.timeout),
            validate_item=self._validate,
            keep=self._keep,
            clock=self._clock,
            tell=self._tell,
        )

    def _assessing(self, incident_id: str) -> Assessing:
        order, alternatives = order_of(self._target), alternatives_of(self._target)
        return Assessing(
            target=self._name,
            incident_id=incident_id,
            components={
                kind: component_of(
                    self._configuration,
                    self._name,
                    kind,
                    self._credentials,
                    clock=self._clock,
                    progress=self._progress,
                )
                for kind in [*order, *alternatives.values()]
            },
            order=order,
            objectives=objectives_of(self._target),
            alternatives=alternatives,
            unopened=lambda: {**self.unopened, **self.journal.unheard},
            losses=self._losses,
            drilled=self._drilled,
        )

    def _losses(self, repository: str, moment: datetime) -> Sequence[tuple[datetime, timedelta | None]]:
        """As the inventory has them; it may have died with Airflow."""
        from backstop.model.drill_loss import SAMPLE_GAP
        from backstop.repository.observed_losses import losses_around

        inventory, _ = inventory_or_why(self._configuration, self._credentials)
        if inventory is None:
            return ()
        try:
            return losses_around(inventory, self._name, repository, moment, within=SAMPLE_GAP)
        except BackstopError:
            return ()

    def _drilled(self) -> Mapping[str, Sequence[Sample]]:
        """As the inventory has them; without it forecasts learn from proofs alone."""
        from backstop.model.drill_samples import drilled_restores
        from backstop.repository.drills import drills_of
        from backstop.settings.drill import EARLIER_DRILLS

        inventory, _ = inventory_or_why(self._configuration, self._credentials)
        if inventory is None:
            return {}
        try:
            return drilled_restores(drills_of(inventory, self._name, EARLIER_DRILLS))
        except BackstopError:
            return {}

    def _answering(self) -> list[Repository]:
        """Patience with one that is down is minutes, each time; the journal has just asked them all."""
        return [one for one in self._repositories if one.name not in self.journal.unheard]

    def _hurried(self) -> list[Repository]:
        """For the journal: one that is down must not cost minutes with every line."""
        from backstop.repository.catalog import Catalog, Repository
        from backstop.wiring import open_storage, open_trust
        from backstop.wiring.locks import lock_rule

        trust = open_trust(self._configuration, self._name)
        hurried = []
        for one in self._repositories:
            storage = open_storage(
                self._configuration.repositories[one.name],
                self._credentials,
                lock=lock_rule(self._configuration, one.name),
                hurried=True,
            )
            hurried.append(Repository(one.name, storage, Catalog(storage, self._name, trust=trust)))
        return hurried

    def _validate(self, item: str) -> Sequence[CheckedItem]:
        from backstop.commands.probing import run_probes
        from backstop.settings.disaster_validation import live_surroundings

        probes = getattr(self._target.disaster.validation, item)
        with live_surroundings(self._configuration, self._name, self._credentials) as surroundings:
            return run_probes(probes, item=item, surroundings=surroundings)

    def _keep(self, disaster: Disaster, now: datetime) -> dict[str, Any]:
        from backstop.settings.disaster_record import keep_record

        record = incident_record(
            disaster.state(),
            target=self._name,
            objectives=objectives_of(self._target),
            now=now,
            host=socket.gethostname(),
        )
        kept = keep_record(record, self._configuration, self._credentials, self._answering(), now=now)
        missed = {**self.unopened, **self.journal.unheard}
        kept["problems"] += [f"the record is not in repository {name}: {why}" for name, why in missed.items()]
        return kept
