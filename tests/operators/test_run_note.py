"""What the scheduler writes on a run, in a metadata database as Airflow's."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from sqlalchemy import JSON, Column, Integer, String, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Session

import tests.airflow_home  # noqa: F401
from backstop.listeners.run_note import note_changes
from backstop.operators.note import NOTE

held: list[bool] = []


class Base(DeclarativeBase):
    pass


class Run(Base):
    __tablename__ = "run"
    run_id = Column(String, primary_key=True)
    dag_id = Column(String)
    note = Column(String)
    user_id = Column(String)

    @property
    def dag_run_note(self):
        """Airflow has the note in a table of its own, with whoever wrote it."""
        return SimpleNamespace(user_id=self.user_id)


class XCom(Base):
    __tablename__ = "xcom"
    dag_id = Column(String, primary_key=True)
    run_id = Column(String, primary_key=True)
    task_id = Column(String, primary_key=True, default="task")
    map_index = Column(Integer, primary_key=True, default=-1)
    key = Column(String, primary_key=True)
    timestamp = Column(Integer, primary_key=True, default=0)
    value = Column(JSON)


@pytest.fixture
def session(monkeypatch):
    import airflow.models.xcom

    monkeypatch.setattr(airflow.models.xcom, "XComModel", XCom)
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        # The scheduler's session: it holds locks that a commit would give up.
        event.listen(session, "before_commit", lambda _: pytest.fail("a commit") if held else None)
        session.add(XCom(dag_id="back_up_files__lab__config", run_id="1", key=NOTE, value="`label`: 1 new"))
        yield session


def ended(session, **values):
    run = Run(**{"run_id": "1", "dag_id": "back_up_files__lab__config", **values})
    session.add(run)
    session.flush()
    held.append(True)
    note_changes(run)
    held.clear()
    session.commit()
    return run.note


def test_a_run_that_backed_files_up_gets_the_note_of_its_task(session):
    assert ended(session) == "`label`: 1 new"


def test_of_an_expiry_the_last_word_is_the_note(session):
    for when, said in ((1, "3 of 30 backups expire"), (3, "3 backups removed"), (2, "in between")):
        session.add(
            XCom(
                dag_id="expire_backups__lab",
                run_id="1",
                task_id=f"task {when}",
                key=NOTE,
                timestamp=when,
                value=said,
            )
        )

    assert ended(session, dag_id="expire_backups__lab") == "3 backups removed"


def test_of_verifications_of_several_backups_the_note_tells_of_each(session):
    for when, said in ((2, "second"), (1, "first")):
        session.add(
            XCom(
                dag_id="verify_backups__lab",
                run_id="1",
                task_id="verify",
                map_index=when,
                key=NOTE,
                timestamp=when,
                value=said,
            )
        )

    assert ended(session, dag_id="verify_backups__lab") == "first\nsecond"


def test_a_note_that_somebody_wrote_and_other_dags_and_runs_without_a_backup_are_left_alone(session):
    assert ended(session, note="mine", user_id="7") == "mine"
    assert ended(session, run_id="2") is None
    assert ended(session, run_id="3", dag_id="back_up_database__lab") is None


def test_a_run_whose_task_was_cleared_says_what_came_of_it_the_second_time(session):
    assert ended(session, note="`label`: not in s3") == "`label`: 1 new"


def test_a_run_that_belongs_to_no_session_is_left_alone():
    run = Run(run_id="1", dag_id="back_up_files__lab__config")
    note_changes(run)
    assert run.note is None
    note_changes(SimpleNamespace(dag_id="other"))
