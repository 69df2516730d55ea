"""Rows and files: what a database expects in a tree is found in a backup, or named."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from backstop.commands.trees.expected import NAMED, ExpectedFiles, missing_files
from backstop.errors import ConfigurationError, SourceError
from backstop.model.file_tree import Entry, EntryKind

pytestmark = pytest.mark.integration


def entry(path: str, kind: EntryKind = EntryKind.FILE) -> Entry:
    return Entry(path.encode(), kind, 0o644, 0, 0, "", "", 0)


LISTED = [
    entry("srv/media", EntryKind.DIRECTORY),
    entry("srv/media/a.jpg"),
    entry("srv/media/ä b.jpg"),
    entry("srv/media/link", EntryKind.SYMLINK),
    entry("srv/media/sub", EntryKind.DIRECTORY),
]


@pytest.fixture
def photos(database):
    with database.connect() as session:
        session.execute("CREATE TABLE public.photos (path text)")
    return database


def expecting(database, *paths: str | None, sql: str = "SELECT path FROM photos", seconds: int = 60):
    with database.connect() as session, session.cursor() as cursor:
        cursor.executemany("INSERT INTO public.photos VALUES (%s)", [(path,) for path in paths])
    return ExpectedFiles(sql, PurePosixPath("/srv/media"), lambda: database, timeout_seconds=seconds)


def test_paths_are_found_however_they_are_written(photos):
    expected = expecting(
        photos, "a.jpg", "/srv/media/a.jpg", "./ä b.jpg", "sub//../sub/x.jpg", "/srv//media/link", None
    )

    found = missing_files(expected, LISTED)

    assert (found.expected, found.missing) == (4, 1)
    assert found.named == ("/srv/media/sub/../sub/x.jpg",)


def test_a_folder_in_a_files_place_is_missing(photos):
    assert missing_files(expecting(photos, "sub"), LISTED).named == ("/srv/media/sub",)


def test_everything_there_says_nothing(photos):
    found = missing_files(expecting(photos, "a.jpg", "link"), LISTED)

    assert (found.expected, found.missing, found.sentences()) == (2, 0, [])


def test_the_first_fifty_are_named_and_all_are_counted(photos):
    found = missing_files(expecting(photos, *(f"{number:03}.jpg" for number in range(60))), LISTED)

    assert (found.missing, len(found.named)) == (60, NAMED)
    assert found.sentences()[0].startswith("60 of 60 files")
    assert found.sentences()[-1] == "and 10 more"


def test_the_question_cannot_write(photos):
    with photos.connect() as session:
        session.execute(
            """CREATE FUNCTION public.tidy() RETURNS text LANGUAGE sql AS
            'DELETE FROM public.photos RETURNING path'"""
        )

    with pytest.raises(SourceError, match="read-only transaction"):
        missing_files(expecting(photos, "a.jpg", sql="SELECT tidy()"), LISTED)


def test_a_question_that_takes_too_long_is_ended(photos):
    expected = expecting(photos, sql="SELECT pg_sleep(30)::text", seconds=1)

    with pytest.raises(SourceError, match="statement timeout"):
        missing_files(expected, LISTED)


def test_a_question_with_two_columns_is_refused(photos):
    with pytest.raises(ConfigurationError, match="gives 2 columns"):
        missing_files(expecting(photos, "a.jpg", sql="SELECT path, path FROM photos"), LISTED)
