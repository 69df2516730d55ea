"""Words that others have written are one line that can be printed, whatever they hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstop.model.finding import Finding, Level
from backstop.model.words import LONGEST, one_line, what_failed


def test_a_finding_quotes_a_name_without_its_line_breaks_and_what_nobody_can_print():
    finding = Finding("calibrify", "sync", "a\nb", Level.WARNING, "x\r\nBcc: y\x00 \udcff", "look\tthere")

    assert (finding.subject, finding.sentence, finding.next_step) == ("a b", "x Bcc: y� �", "look there")


def test_a_name_that_goes_on_for_ever_is_cut_and_says_so():
    assert one_line("a" * 5000) == "a" * (LONGEST - 2) + " …"


@given(st.text(st.characters(), max_size=2000))
def test_any_words_become_a_line_that_can_be_printed_and_stay_that(text):
    line = one_line(text)

    assert line.isprintable()
    assert len(line) <= LONGEST
    assert one_line(line) == line


@pytest.mark.parametrize(
    "text",
    [
        "HTTPSConnectionPool(host='hooks.example', port=443): Max retries with url: /T0/s3cret (Caused)",
        "404 Client Error: Not Found for url: https://hooks.example/services/T0/s3cret?key=s3cret",
        "cannot reach smtp://me:s3cret@mail.example:25\nhttps://hooks.example?token=s3cret",
    ],
)
def test_of_an_address_in_an_error_only_the_host_is_shown(text):
    said = what_failed(ConnectionError(text))

    assert said.startswith("ConnectionError: ")
    assert "s3cret" not in said
    assert ".example" in said
