"""Reads targets.yaml, or a directory of such files. Called whenever a DAG file is parsed."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from backstop.errors import ConfigurationError
from backstop.targets.broken import in_words
from backstop.targets.check import check_text
from backstop.targets.directory import SHARED, check_directory, target_files
from backstop.targets.mistakes import Mistake  # noqa: TC001 part of an alias
from backstop.targets.models import Configuration

DEFAULT_PATH = Path(__file__).parents[3] / "dags" / "targets.yaml"
_MAX_BYTES = 1024 * 1024
_Checked = tuple[Configuration | None, "list[Mistake]"]


def targets_path(path: Path | str | None = None) -> Path:
    """What to read: the argument, else ``BACKSTOP_TARGETS``, else ``dags/targets.yaml``.

    A file, or a directory that has :data:`SHARED` and target files.
    """
    return Path(path or os.environ.get(Configuration.ENVIRONMENT_VARIABLE) or DEFAULT_PATH)


def load_targets(path: Path | str | None = None) -> Configuration:
    """The validated configuration.

    Of a directory, a target file that is wrong disables its targets alone: :attr:`Configuration.broken`.

    :raises ConfigurationError: the file, or what the files of a directory share, is missing, unreadable or
        wrong; names every mistake with its line and column.
    """
    file = targets_path(path)
    configuration, mistakes = _check(file)
    if configuration is None:
        raise ConfigurationError(
            describe(_shared(file), mistakes),
            hint="correct the file; `python -m backstop check-targets` checks it again",
        )
    return configuration


def find_mistakes(path: Path | str | None = None) -> list[Mistake]:
    """Every mistake in its order, of all files; empty when everything can be used.

    :raises ConfigurationError: the file is missing or unreadable.
    """
    configuration, mistakes = _check(targets_path(path))
    broken = configuration.broken if configuration else ()
    return mistakes + [mistake for file in broken for mistake in file.mistakes]


def newest_change(path: Path) -> tuple[object, ...]:
    """Something that is another when a file has changed, come or gone; for a directory, costs a look at each.

    :raises OSError: there is nothing.
    """
    seen = path.stat()
    if not path.is_dir():
        return (seen.st_mtime_ns, seen.st_size, seen.st_ino)
    return tuple((str(file), *_state(file)) for file in [path / SHARED, *target_files(path)])


def _state(file: Path) -> tuple[int, ...]:
    # What a link leads to: of a mounted ConfigMap the links never change. One that leads nowhere is itself.
    try:
        seen = file.stat()
    except OSError:
        seen = file.lstat()
    return (seen.st_mtime_ns, seen.st_size, seen.st_ino, seen.st_mode)


def _check(file: Path) -> _Checked:
    # Every DAG file of a folder, and every request for a page, asks for the same. It is read each time, which
    # costs little, and so is never out of date; sections do not change once they are made.
    if not file.is_dir():
        return _checked(read_text(file))
    files = [file / SHARED, *target_files(file)]
    return _checked_directory(tuple((one, _text_or_why(one)) for one in files))


@lru_cache(maxsize=2)
def _checked(text: str) -> _Checked:
    return check_text(text)


@lru_cache(maxsize=2)
def _checked_directory(contents: tuple[tuple[Path, str | _Unread], ...]) -> _Checked:
    texts = dict(contents)

    def read(file: Path) -> str:
        found = texts[file]
        if isinstance(found, str):
            return found
        raise ConfigurationError(found.message, hint=found.hint)

    (shared, _), *files = contents
    return check_directory(shared, [file for file, _ in files], read)


@dataclass(frozen=True)
class _Unread:
    """Why a file could not be read; by value, so that the same reason is no change."""

    message: str
    hint: str


def _text_or_why(file: Path) -> str | _Unread:
    try:
        _refuse_no_file(file)
        return read_text(file)
    except ConfigurationError as error:
        return _Unread(error.message, error.hint)


def _refuse_no_file(file: Path) -> None:
    """:raises ConfigurationError: who reads a pipe waits for ever; a device never ends."""
    try:
        mode = file.stat().st_mode
        if stat.S_ISDIR(mode):
            list(file.iterdir())
    except FileNotFoundError:
        return  # whoever reads it says so
    except OSError as error:
        raise ConfigurationError(
            f"{file} cannot be read: {error.strerror}", hint=_how_to_name(file)
        ) from None
    if not stat.S_ISREG(mode):
        what = "a directory" if stat.S_ISDIR(mode) else "a pipe, a socket or a device, and no file"
        raise ConfigurationError(f"{file} is {what}", hint=_how_to_name(file))


def _shared(file: Path) -> Path:
    return file / SHARED if file.is_dir() else file


def describe(file: Path, mistakes: list[Mistake]) -> str:
    """One line for a single mistake, else a heading and one line each: ``file:line:column: …``."""
    lines = [in_words(str(file), one) for one in mistakes]
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
    named = os.environ.get(variable)
    if named and Path(named) in (file, file.parent):
        return f"{variable} names it; correct that, or unset it to read {DEFAULT_PATH}"
    return f"write it as docs/targets.md shows, or set {variable} to the path of yours"
