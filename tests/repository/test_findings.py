"""Findings in a real inventory: opened, closed and told once, whoever watches at the same time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest

from backstop.commands.announce import announce
from backstop.errors import SourceUnavailableError
from backstop.model.finding import EVERY_TARGET, Finding, Level
from backstop.model.finding_state import Rhythm
from backstop.model.observation import Observation
from backstop.postgres.connection import ClusterConnection
from backstop.repository.findings import Findings, read_open_findings
from backstop.repository.observations import Observations

pytestmark = pytest.mark.integration

START = datetime(2026, 11, 23, 1, tzinfo=timezone.utc)
WATCH = timedelta(minutes=5)
WARNING, CRITICAL = Level.WARNING, Level.CRITICAL


def finding(
    target="calibrify", check="slot", subject="slot b", level=CRITICAL, sentence="the slot is lost"
) -> Finding:
    return Finding(target, check, subject, level, sentence, "see the server")


class Mailbox:
    """A channel that keeps what it is told, or cannot be reached."""

    def __init__(self, name="mail", levels=(CRITICAL, WARNING)):
        self.name, self.levels, self.subjects, self.broken = name, levels, [], False

    def wants(self, finding):
        return finding.level in self.levels

    def tell(self, announcement):
        if self.broken:
            raise ConnectionError("nobody listens on port 25")
        self.subjects.append(announcement.subject)


@pytest.fixture
def findings(inventory, database) -> Findings:
    return Findings(database)


@pytest.fixture
def mail() -> Mailbox:
    return Mailbox()


def watch(findings, *found, at=0, targets=("calibrify",), **more):
    findings.advance(found, targets=targets, now=START + at * WATCH, **more)


def tell(findings, *channels, at=0, **more):
    return announce(findings, channels, now=START + at * WATCH, rhythm=Rhythm(), **more)


def test_a_finding_comes_back_from_the_inventory_as_it_was_found(findings):
    watch(findings, finding())
    watch(findings, finding(sentence="still lost"), at=1)

    (one,) = findings.open()
    assert one.finding == finding(sentence="still lost")
    assert (one.opened_at, one.last_seen_at) == (START, START + WATCH)
    assert (one.told, one.announced_at, one.facts) == ({}, None, {})


def test_open_findings_are_read_in_a_session_of_the_callers_the_worst_first(findings, database):
    watch(findings, finding(level=WARNING), finding(check="key", subject="key a"))
    with database.connect() as session:
        everything = read_open_findings(session)
        assert read_open_findings(session, "other") == ()

    assert [one.finding.level for one in everything] == [CRITICAL, WARNING]


def test_it_is_told_once_and_its_end_once_and_then_never_looked_at_again(findings, mail, query):
    for at in range(4):
        watch(findings, finding(), at=at)
        tell(findings, mail, at=at)
    for at in range(4, 10):
        watch(findings, at=at)
        tell(findings, mail, at=at)

    assert mail.subjects == [
        "[critical] calibrify: the slot is lost",
        "[over: critical] calibrify: the slot is lost",
    ]
    (closed,) = findings.closed("calibrify", START)
    assert (closed.closed_at, closed.announcements) == (START + 6 * WATCH, 2)
    assert query("SELECT settled FROM backup_finding") == [(True,)]


def test_what_could_not_be_judged_does_not_close(findings):
    watch(findings, finding(), finding(check="wal-gap", subject="WAL in s3"), finding(check="key"))
    for at in range(1, 6):
        unjudged = {"calibrify": [("slot", "slot b"), ("wal-gap", "*")], "other": [("key", "*")]}
        watch(findings, at=at, unjudged=unjudged)

    assert {one.finding.check for one in findings.open()} == {"slot", "wal-gap"}


def test_findings_of_targets_that_were_not_looked_at_and_of_runs_stay_as_they_are(findings):
    watch(findings, finding("a"), finding("b"), finding("b", check="run"), targets=("a", "b"))
    for at in range(1, 6):
        watch(findings, at=at, targets=("a",))
    assert {one.finding.target for one in findings.open()} == {"b"}

    for at in range(6, 12):
        watch(findings, at=at, targets=("b",))
    assert [one.finding.check for one in findings.open()] == ["run"]


def test_of_two_findings_with_one_key_the_worse_one_stays(findings):
    watch(findings, finding(), finding(level=WARNING, sentence="not so bad"))

    assert [one.finding.sentence for one in findings.open()] == ["the slot is lost"]


def test_words_that_quote_what_others_named_can_be_kept_and_mailed(findings, mail, database):
    watch(findings, finding(sentence="the object a\r\nBcc: b\x00\udcff\u202eX is not there", subject="a\nb"))
    watch(findings, finding(sentence="gone", subject="a\nb"), at=1)
    tell(findings, mail, at=1)
    Observations(database).store([Observation("calibrify", START, 0.1, unseen=("a\x00\udcff",))])

    (one,) = findings.open()
    assert (one.finding.subject, one.opened_at) == ("a b", START), "it is recognised again"
    assert mail.subjects == ["[critical] calibrify: gone"]
    assert Observations(database).of("calibrify").unseen == ("a��",)


def test_an_observation_by_a_clock_that_was_ahead_is_not_the_newest_until_then(inventory, database):
    observations = Observations(database)
    observations.store([Observation("calibrify", START + timedelta(minutes=10), 0.1)])
    observations.store([Observation("calibrify", START, 0.2)])
    assert observations.of("calibrify").took_seconds == 0.1, "two watches, of which one was slow"

    observations.store([Observation("calibrify", START + timedelta(days=400), 0.3)])
    observations.store([Observation("calibrify", START + timedelta(minutes=15), 0.4)])
    assert observations.of("calibrify").took_seconds == 0.4


def test_what_a_clock_that_was_ahead_has_opened_closes(findings, query):
    watch(findings, finding(), at=12 * 24 * 400)
    watch(findings, at=1)
    watch(findings, at=3)

    assert query("SELECT opened_at, closed_at FROM backup_finding") == [(START + WATCH, START + 3 * WATCH)]


def test_what_closes_and_is_back_within_the_hour_rings_no_more_each_time(findings, mail):
    """Down for five minutes in every twenty: each time it stays away long enough to be over."""
    for at in range(12 * 6):
        watch(findings, *([finding()] if at % 4 == 0 else []), at=at)
        tell(findings, mail, at=at)

    assert mail.subjects == [
        "[critical] calibrify: the slot is lost",
        "[over: critical] calibrify: the slot is lost",
        "[critical] calibrify: the slot is lost",
        "[still critical] calibrify: the slot is lost",
    ]


def test_when_telling_fails_the_next_run_tells_and_others_are_told_meanwhile(findings, mail):
    chat = Mailbox("chat")
    mail.broken = True
    watch(findings, finding())
    first = tell(findings, mail, chat)
    assert first.failures == ("mail: ConnectionError: nobody listens on port 25",)

    mail.broken = False
    watch(findings, finding(), at=1)
    assert tell(findings, mail, chat, at=1).failures == ()
    assert mail.subjects == chat.subjects == ["[critical] calibrify: the slot is lost"]


def test_a_channel_that_fails_is_not_tried_for_every_finding(findings, mail):
    mail.broken = True
    watch(findings, *[finding(check=check) for check in ("key", "rpo", "slot", "space", "sync")])

    assert len(tell(findings, mail).failures) == 3


def test_a_channel_that_hangs_is_not_asked_again(findings, mail):
    def hang(announcement):
        raise TimeoutError("it did not end within 60 s")

    mail.tell = hang
    watch(findings, finding(), finding(check="key"))

    assert len(tell(findings, mail).failures) == 1


def test_a_message_that_a_channel_cannot_take_keeps_no_other_from_being_told(findings, mail):
    take = mail.tell

    def picky(announcement):
        if "poison" in announcement.subject:
            raise ValueError("a header may not hold this")
        take(announcement)

    mail.tell = picky
    watch(findings, finding(check="key", sentence="poison"), finding())

    assert len(tell(findings, mail).failures) == 1
    assert mail.subjects == ["[critical] calibrify: the slot is lost"]


def test_an_end_that_could_not_be_told_is_told_later(findings, mail):
    watch(findings, finding())
    tell(findings, mail)
    mail.broken = True
    for at in range(1, 5):
        watch(findings, at=at)
        tell(findings, mail, at=at)
    mail.broken = False
    tell(findings, mail, at=9)

    assert mail.subjects[1:] == ["[over: critical] calibrify: the slot is lost"]


def test_who_is_told_of_critical_findings_alone_does_not_hear_of_warnings(findings, mail):
    pager = Mailbox("pager", levels=(CRITICAL,))
    for at in range(4):
        watch(findings, finding(level=WARNING), at=at)
        tell(findings, mail, pager, at=at)
    watch(findings, finding(), at=4)
    tell(findings, mail, pager, at=4)

    assert pager.subjects == ["[critical] calibrify: the slot is lost"]
    assert mail.subjects == [
        "[warning] calibrify: the slot is lost",
        "[now critical] calibrify: the slot is lost",
    ]


def test_a_storm_is_one_message_and_nothing_of_it_is_told_again(findings, mail):
    names = [f"system-{n:02}" for n in range(30)]
    watch(findings, *map(finding, names), targets=names)
    tell(findings, mail)
    watch(findings, *map(finding, names), targets=names, at=1)
    tell(findings, mail, at=1)

    assert mail.subjects == ["[critical] 30 findings of 30 targets"]
    assert all(one.announced_at == START for one in findings.open())


def test_two_who_tell_at_once_tell_once(findings, database):
    """The first is held up in the middle of telling; the second comes to an inventory that waits for it."""
    inside, go_on = threading.Event(), threading.Event()

    class Slow(Mailbox):
        def tell(self, announcement):
            inside.set()
            assert go_on.wait(30)
            super().tell(announcement)

    slow, quick = Slow(), Mailbox()
    watch(findings, finding())
    threads = [threading.Thread(target=tell, args=(findings, channel)) for channel in (slow, quick)]
    threads[0].start()
    assert inside.wait(30)
    threads[1].start()
    # A watch is not held up by slow mail.
    watch(findings, finding(sentence="still lost"), at=1)
    go_on.set()
    for thread in threads:
        thread.join(30)

    assert (len(slow.subjects), quick.subjects) == (1, [])
    (one,) = findings.open()
    assert (one.finding.sentence, one.announcements) == ("still lost", 1)


def test_two_watches_at_once_open_one_finding(findings):
    barrier = threading.Barrier(8)

    def together(_):
        barrier.wait(30)
        watch(findings, finding())

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(together, range(8))) == [None] * 8

    assert len(findings.open()) == 1


def test_who_dies_while_telling_has_told_those_before(findings, mail):
    watch(findings, finding())
    first = Mailbox("first")

    def killed(announcement):
        raise KeyboardInterrupt

    mail.tell, works = killed, mail.tell
    with pytest.raises(KeyboardInterrupt):
        tell(findings, first, mail)
    mail.tell = works

    tell(findings, first, mail)
    assert (len(first.subjects), len(mail.subjects)) == (1, 1)


def test_a_server_that_cuts_off_who_is_idle_makes_nobody_be_told_again(findings, mail, query):
    """Telling took longer than the inventory's server bears an open transaction."""
    take = mail.tell

    def slowly(announcement):
        take(announcement)
        query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = "
            "'backstop:findings' AND datname = current_database()"
        )

    mail.tell = slowly
    watch(findings, finding())
    with pytest.raises(SourceUnavailableError):
        tell(findings, mail)
    mail.tell = take
    tell(findings, mail, at=1)

    assert len(mail.subjects) == 1


def test_a_run_reports_itself_remembers_what_it_is_told_and_closes_itself(findings, mail):
    run = finding(EVERY_TARGET, "run", "watch_backups", sentence="DAG watch_backups failed")
    assert findings.report(run, now=START, facts={"run_id": "1"}) is None
    known = findings.report(run, now=START + WATCH, facts={"run_id": "2", "successes": 7})
    assert known is not None
    assert known.facts == {"run_id": "1"}
    assert findings.open()[0].facts == {"run_id": "2", "successes": 7}

    tell(findings, mail)
    findings.close(run, now=START + 2 * WATCH)
    tell(findings, mail, at=2)
    assert mail.subjects == [
        "[critical] DAG watch_backups failed",
        "[over: critical] DAG watch_backups failed",
    ]
    assert findings.open() == ()


def test_only_one_finding_is_told_where_only_that_was_asked_for(findings, mail):
    watch(findings, finding(), finding(check="key", sentence="the key goes"))
    tell(findings, mail, only=finding(check="key"))

    assert mail.subjects == ["[critical] calibrify: the key goes"]


def test_findings_of_targets_that_have_gone_close_without_a_word(findings, mail):
    watch(findings, finding("a"), finding("gone"), finding(EVERY_TARGET), targets=("a", "gone"))
    tell(findings, mail)
    findings.drop(now=START + WATCH, known_targets=["a", EVERY_TARGET])
    tell(findings, mail, at=1)

    assert {one.finding.target for one in findings.open()} == {"a", EVERY_TARGET}
    assert not [subject for subject in mail.subjects if "over" in subject]


def test_one_finding_can_be_dropped(findings):
    watch(findings, finding(), finding(check="key"))
    findings.drop(finding(), now=START)

    assert [one.finding.check for one in findings.open()] == ["key"]


def test_a_finding_of_another_version_of_backstop_is_left_out(findings, query):
    watch(findings, finding())
    query("UPDATE backup_finding SET check_name = 'weather'")

    assert findings.open() == ()


def test_an_inventory_that_does_not_answer_is_named():
    nobody = Findings(ClusterConnection("127.0.0.1", 1, "nobody", "nothing"))

    with pytest.raises(SourceUnavailableError, match="nobody@"):
        nobody.open()
