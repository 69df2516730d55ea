"""``repository.json``: which repository this is, and in which version of the format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.errors import FormatTooNewError, IntegrityError, ObjectMissingError
from backstop.model.format_version import REPOSITORY_FORMATS, known_version
from backstop.repository.manifest_files import json_object
from backstop.storage.keys import DESCRIPTION

if TYPE_CHECKING:
    from backstop.storage.base import Storage

REPOSITORY_KEY = DESCRIPTION
_PUT_BACK = (
    'put it back: {"format": 1, "id": "…"} with the `repository_id` that its manifests name. The other '
    "repository has another id: with that, no backup here would be believed"
)


@dataclass(frozen=True, slots=True)
class Description:
    """What ``repository.json`` says."""

    id: str
    format: int

    @classmethod
    def read(cls, storage: Storage) -> Description:
        """:raises ObjectMissingError: nothing there says that it is a repository.

        :raises FormatTooNewError: a newer release has raised its version; :raises IntegrityError: damaged.
        """
        key = f"{storage.location}/{REPOSITORY_KEY}"
        body = storage.read(REPOSITORY_KEY)
        try:
            document = json_object(body, key)
            version = known_version(document, what=f"repository {storage.location}", known=REPOSITORY_FORMATS)
        except FormatTooNewError:
            raise
        except IntegrityError as error:
            raise IntegrityError(error.message, hint=_PUT_BACK) from error
        if not isinstance(document.get("id"), str) or not document["id"]:
            raise IntegrityError(f"{key} names no repository", hint=_PUT_BACK)
        return cls(document["id"], version)


def refuse_newer(storage: Storage) -> None:
    """Before anything is written without looking at a manifest first: leases, marks, WAL.

    :raises FormatTooNewError: a newer release has raised the version; :raises IntegrityError: damaged.
    """
    try:
        Description.read(storage)
    except ObjectMissingError:
        return  # no repository yet
