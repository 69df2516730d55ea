"""Reads targets.yaml. Called whenever a DAG file is parsed: one file, nothing else."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from backstop.errors import ConfigurationError
from backstop.targets.check import check_text
from backstop.targets.models import Configuration

if TYPE_CHECKING:
    from backstop.targets.mistakes import Mistake

DEFAULT_PATH = Path(__file__).parents[3] / "dags" / "targets.yaml"
_MAX_BYTES = 1024 * 1024


def targets_path(path: Path | str | None = None) -> Path:
    """The file to read: the argument, else ``BACKSTOP_TARGETS``, else ``dags/targets.yaml``."""
    return Path(path or os.environ.get(Configuration.ENVIRONMENT_VARIABLE) or DEFAULT_PATH)


def load_targets(path: Path | str | None = None) -> Configuration:
    """The validated configuration.

    :raises ConfigurationError: the file is missing, unreadable or wrong; names every mistake with its
        line and column.
    """
    file = targets_path(path)
    configuration, mistakes = _checked(read_text(file))
    if configuration is None:
        raise ConfigurationError(
            describe(file, mistakes),
            hint="correct the file; `python -m backstop check-targets` checks it again",
        )
    return configuration


@lru_cache(maxsize=2)
def _checked(text: str) -> tuple[Configuration | None, list[Mistake]]:
    # Every DAG file of a folder, and every request for a page, asks for the same file. It is read each time,
    # which costs nothing, and so is never out of date; sections do not change once they are made.
    return check_text(text)


def find_mistakes(path: Path | str | None = None) -> list[Mistake]:
    """Every mistake of the file in its order; empty when it can be used.

    :raises ConfigurationError: the file is missing or unreadable.
    """
    return check_text(read_text(targets_path(path)))[1]


def describe(file: Path, mistakes: list[Mistake]) -> str:
    """One line for a single mistake, else a heading and one line each: ``file:line:column: …``."""
    lines = [
        f"{file}:{one.position.line}:{one.position.column}: {f'{one.where}: ' if one.where else ''}{one.what}"
        for one in mistakes
    ]
    if len(lines) == 1:
        return lines[0]
    return "\n  ".join([f"{len(lines)} mistakes in {file}", *lines])


def read_text(file: Path) -> str:
    """:raises ConfigurationError: says why the file cannot be read and what to do."""
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise ConfigurationError(
                f"{file} is larger than {_MAX_BYTES} bytes",
                hint="is it the right file? " + _how_to_name(file),
            )
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigurationError(f"there is no {file}", hint=_how_to_name(file)) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{file} is not UTF-8 text (byte {error.start})", hint="save it as UTF-8"
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be read: {error.strerror}", hint=_how_to_name(file)
        ) from None


def _how_to_name(file: Path) -> str:
    variable = Configuration.ENVIRONMENT_VARIABLE
    if os.environ.get(variable) and Path(os.environ[variable]) == file:
        return f"{variable} names it; correct that, or unset it to read {DEFAULT_PATH}"
    return f"write it as docs/targets.md shows, or set {variable} to the path of yours"
