"""Words that others have written are one line that can be printed, whatever they hold."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backstop.model.finding import Finding, Level
from backstop.model.words import LONGEST, one_line


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
