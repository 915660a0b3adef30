# SPDX-License-Identifier: MIT
"""What is missing, forbidden, slow or broken: only what depends on it is lost, with a sentence that helps."""

from __future__ import annotations

import contextlib
import shutil
import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import MySQLdb
import MySQLdb.cursors
import pytest

from processing_time.model import Loss, SourceUnavailable
from processing_time.settings import SQL, Metric
from processing_time.sources import queries
from processing_time.sources.snapshot import QueryFault, snapshot
from tests.sql.application import PASSWORD, READER, SCHEMA, Application, berlin
from tests.sql.conftest import METRICS, Build, by_key, check, settings_for
from tests.sql.recording import Recording

AS_OF = berlin("2026-07-15 14:00")
MORNING = AS_OF - timedelta(hours=4)
ALL = set(METRICS)


@pytest.fixture
def filled(app: Application) -> Application:
    service = app.service()
    for _ in range(12):
        app.appointment(service, MORNING)
    app.insert()
    return app


def lost(app: Application, **options: Any) -> dict[str, str]:
    """The reasons of the metrics that could not be measured."""
    found = by_key(check(app, AS_OF, **options))
    assert {key for key, _ in found} >= ALL
    assert all(s.value is None and s.company_id == 0 for s in found.values() if s.loss)
    assert {s.loss for s in found.values()} <= {None, Loss.LOST}
    return {key: s.reason for (key, _), s in found.items() if s.loss}


@pytest.mark.parametrize(
    ("change", "metrics", "sentence"),
    [
        (
            "RENAME TABLE appointment_phases TO phases",
            ALL - {"calcom_sync_success_rate"},
            "no table appointment_phases",
        ),
        ("RENAME TABLE appointments TO bookings", ALL, "no table appointments"),
        ("RENAME TABLE services TO treatments", ALL, "no table services"),
        ("ALTER TABLE appointments DROP COLUMN created_at", ALL, "appointments has no column created_at"),
        (
            "ALTER TABLE services RENAME COLUMN has_processing_time TO split",
            ALL,
            "services has no column has_proc",
        ),
        (
            "ALTER TABLE services DROP COLUMN final_duration",
            {"phase_distribution"},
            "services has no column final_d",
        ),
        (
            "ALTER TABLE appointments RENAME COLUMN staff_id TO employee",
            {"overlapping_bookings"},
            "no column staff_id",
        ),
        (
            "ALTER TABLE appointment_phases DROP COLUMN staff_required",
            {"overlapping_bookings"},
            "staff_required",
        ),
        (
            "ALTER TABLE appointment_phases DROP COLUMN phase_type",
            {"phase_distribution"},
            "no column phase_type",
        ),
    ],
)
def test_what_is_missing_costs_what_needs_it(
    build: Build, change: str, metrics: set[str], sentence: str
) -> None:
    app = build("guide")
    app.appointment(app.service(), MORNING)
    app.insert()
    app.run(change)
    reasons = lost(app)
    assert reasons.keys() == metrics
    assert all(sentence in reason for reason in reasons.values()), reasons


def test_the_sync_column_of_another_world_is_named(filled: Application) -> None:
    there, wrong = filled.sync_column, "state_of_sync"
    (reason,) = lost(
        filled, settings=settings_for(filled, application={"sync_status_column": wrong})
    ).values()
    assert reason == (
        f"appointments has no column {wrong}: set application.sync_status_column ({there} exists)"
    )


def test_a_column_that_two_settings_name_is_a_column(build: Build) -> None:
    """`sync_status` is a column of services where the application is deployed: that must not do."""
    app = build("deployed")
    app.appointment(app.service(), MORNING, sync="synced")
    app.insert()
    reasons = lost(app, settings=settings_for(app, application={"sync_status_column": "sync_status"}))
    assert reasons.keys() == {"calcom_sync_success_rate"}
    assert "(calcom_sync_status exists)" in reasons["calcom_sync_success_rate"]


def test_soft_deletes_demanded_where_there_are_none(build: Build) -> None:
    app = build("guide")
    reasons = lost(app, settings=settings_for(app, application={"soft_deletes": True}))
    assert reasons.keys() == ALL
    assert all("set application.soft_deletes to auto" in reason for reason in reasons.values())


def test_a_schema_without_any_of_the_tables(app: Application) -> None:
    app.run("DROP TABLE appointment_phases, appointments, services")
    with pytest.raises(SourceUnavailable, match=r"none of the tables.*processing_time_mysql"):
        check(app, AS_OF)


def test_a_table_that_is_not_granted_is_said(filled: Application) -> None:
    grants = [f"GRANT SELECT ON {SCHEMA}.{table} TO {READER}@'%'" for table in ("appointments", "services")]
    filled.run(f"REVOKE SELECT ON {SCHEMA}.* FROM {READER}@'%'", *grants)
    reasons = lost(filled)
    assert reasons.keys() == ALL - {"calcom_sync_success_rate"}
    assert all("GRANT SELECT" in reason for reason in reasons.values())


def test_wrong_password_wrong_schema_and_no_server(app: Application) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        faults: list[dict[str, Any]] = [
            {"password": "falsch/9"},
            {"database": "another_schema"},
            {"port": taken.getsockname()[1]},
        ]
        for changed in faults:
            with pytest.raises(SourceUnavailable) as unavailable:
                check(app, AS_OF, connect=lambda changed=changed: app.connect(**changed))
            sentence = str(unavailable.value)
            assert "processing_time_mysql" in sentence
            for secret in (PASSWORD, "falsch/9", READER, "127.0.0.1", "localhost"):
                assert secret not in sentence


def test_only_reading_statements_and_no_temporary_tables(filled: Application) -> None:
    recording = Recording(filled.connect())
    check(filled, AS_OF, connect=lambda: recording)
    assert recording.closed
    first_words = {
        " ".join(sql.split()[:2]) for sql, _ in recording.statements if not sql.startswith("SELECT")
    }
    assert first_words == {"SET SESSION", "START TRANSACTION"}
    assert not [sql for sql, _ in recording.statements if "temporary" in sql.lower() or "time_zone" in sql]
    assert ("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY", None) in recording.statements


def test_the_snapshot_cannot_be_written_to_even_by_a_login_that_may(
    filled: Application, mariadb: Any
) -> None:
    with (
        snapshot(lambda: mariadb.root(SCHEMA), timedelta(seconds=30)) as opened,
        pytest.raises(QueryFault, match="1792"),
    ):
        opened.execute("DELETE FROM appointments")
    assert filled.run("SELECT COUNT(*) FROM appointments") == [(12,)]


def test_what_is_committed_meanwhile_is_not_seen(filled: Application) -> None:
    """All metrics look at one moment: rows that come while the check runs change none of its numbers."""
    done = []

    def interfere(sql: str) -> None:
        if "by_status" in sql and not done:
            done.append(filled.run("DELETE FROM appointment_phases", "DELETE FROM appointments"))

    found = by_key(check(filled, AS_OF, connect=lambda: Recording(filled.connect(), interfere)))
    assert done
    assert found["orphaned_appointments", 0].denominator == 12
    assert found["stale_phases", 0].denominator == 12


@pytest.fixture
def own_sql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Write an SQL file of a metric of one's own beside the shipped ones."""
    folder = tmp_path / "sql"
    shutil.copytree(SQL, folder)
    monkeypatch.setattr(queries, "SQL", folder)

    def write(key: str, text: str) -> None:
        (folder / "metrics" / f"{key}.sql").write_text(text, encoding="utf-8")

    return write


def metric(**properties: Any) -> Metric:
    given = {
        "title": "My own",
        "action": "Look",
        "source": "mysql",
        "kind": "rate",
        "window": "today",
        "better": "higher",
    }
    return Metric(**{**given, "unit": "%", **properties})


# Twelve rows, each with each seven times over: many seconds on any server, stopped by both kinds of time limit.
#: With a condition: MySQL only multiplies the numbers of rows without one.
_SLOW = f"""SELECT 1 AS company_id, COUNT(*) AS numerator, COUNT(*) AS denominator
FROM {", ".join(f"appointments AS a{n}" for n in range(7))}
WHERE a0.id <> a6.id"""


def test_a_statement_that_takes_too_long_costs_itself(
    filled: Application, own_sql: Callable[[str, str], None]
) -> None:
    own_sql("a_slow_one", _SLOW)
    settings = settings_for(
        filled, {"a_slow_one": metric()}, schedule={"statement_timeout": timedelta(seconds=1)}
    )
    collected = check(filled, AS_OF, settings=settings)
    found = by_key(collected)
    reasons = {key: s.reason for (key, _), s in found.items() if s.loss}
    assert reasons.keys() == {"a_slow_one"}
    assert "schedule.statement_timeout" in reasons["a_slow_one"]
    assert collected.facts["traffic"] == 12


def test_after_two_of_them_nothing_more_is_tried(
    filled: Application, own_sql: Callable[[str, str], None]
) -> None:
    own = {f"slow_{n}": metric() for n in range(3)}
    for key in own:
        own_sql(key, _SLOW)
    settings = settings_for(filled, own, schedule={"statement_timeout": timedelta(seconds=1)})
    slow_last = check(filled, AS_OF, settings=settings)
    assert {s.metric for s in slow_last.samples if s.loss} == set(own)
    assert "no further one was tried" in by_key(slow_last)["slow_2", 0].reason
    assert slow_last.facts["traffic"] is None

    only_slow = settings.model_copy(
        update={"metrics": {k: m for k, m in settings.metrics.items() if k in own}}
    )
    with pytest.raises(SourceUnavailable, match=r"schedule\.statement_timeout"):
        check(filled, AS_OF, settings=only_slow)


@pytest.mark.parametrize(
    ("at", "measured"),
    [("information_schema", None), ("with_phases", None), ("by_status", {"phase_creation_success_rate"})],
)
def test_a_connection_that_breaks(
    filled: Application, mariadb: Any, at: str, measured: set[str] | None
) -> None:
    connection = filled.connect()
    number = connection.thread_id()

    def kill(sql: str) -> None:
        if at in sql:
            with (
                contextlib.closing(mariadb.root()) as root,
                root.cursor() as cursor,
                contextlib.suppress(MySQLdb.Error),
            ):
                cursor.execute(f"KILL {number}")

    class Broken(Recording):
        def close(self) -> None:
            self._connection.close()

    def attempt() -> Any:
        return check(filled, AS_OF, connect=lambda: Broken(connection, kill))

    if measured is None:
        with pytest.raises(SourceUnavailable, match="was lost"):
            attempt()
        return
    collected = attempt()
    assert {s.metric for s in collected.samples if not s.loss} == measured
    assert {s.metric for s in collected.samples if s.loss} == ALL - measured
    assert all("was lost (error" in s.reason for s in collected.samples if s.loss)


def test_a_metric_of_one_s_own(filled: Application, own_sql: Callable[[str, str], None]) -> None:
    own_sql(
        "bookings_with_staff",
        """-- What: of the appointments created in the window, those that name a member of staff: 100 % wanted.
-- needs appointments: id, staff_id, service_id, created_at

SELECT
    s.company_id,
    COUNT(a.staff_id) AS numerator,
    COUNT(*) AS denominator,
    COUNT(DISTINCT a.staff_id) AS staff
FROM appointments AS a FORCE INDEX (`PRIMARY`)
INNER JOIN services AS s ON a.service_id = s.id
WHERE a.id >= %(first_appointment)s AND a.created_at >= %(window_start)s AND a.created_at < %(window_end)s
GROUP BY s.company_id""",
    )
    filled.run("UPDATE appointments SET staff_id = NULL WHERE id <= 3")
    found = by_key(check(filled, AS_OF, settings=settings_for(filled, {"bookings_with_staff": metric()})))
    for company in (0, 1):
        sample = found["bookings_with_staff", company]
        assert (sample.value, sample.numerator, sample.denominator) == (75.0, 9, 12)
        assert sample.detail == {"staff": 1, "boundary": "plain range"}


@pytest.mark.parametrize(
    ("text", "properties", "sentence"),
    [
        ("SELECT 1 AS numerator, 2 AS denominator", {}, "gives no column company_id"),
        ("SELEC 1", {}, "the server refused the query (error 1064"),
        ("SELECT a.foo FROM appointments AS a", {}, "Unknown column"),
        ("-- needs invoices: id\n\nSELECT 1", {}, "there is no table invoices"),
        ("SELECT 1 FROM appointments WHERE id > %(first)s", {}, "binds %(first)s, which does not exist"),
        ("SELECT 5 % 2", {}, "holds a % that is no"),
        ("SELECT {{ nonsense }}", {}, "uses {{ nonsense }}, which does not exist"),
        ("SELECT {{ nonsense", {}, "is not a valid template"),
        ("SELECT 1", {"kind": "deviation"}, "metrics.own.kind = deviation"),
        ("SELECT 1 AS company_id, 3 AS numerator, 2 AS denominator", {}, "counts 3 of 2"),
        ("SELECT 1 AS company_id, -1 AS numerator, 2 AS denominator", {}, "counts -1 of 2"),
        ("SELECT 'x' AS company_id, 1 AS numerator, 2 AS denominator", {}, "company_id is no number"),
        (
            "SELECT 1 AS company_id, 1 AS numerator, 2 AS denominator, 'x' AS staff",
            {},
            "staff is no number: call a text by_staff",
        ),
    ],
)
def test_a_faulty_metric_of_one_s_own_costs_itself(
    filled: Application,
    own_sql: Callable[[str, str], None],
    text: str,
    properties: dict[str, Any],
    sentence: str,
) -> None:
    own_sql("own", text)
    reasons = lost(filled, settings=settings_for(filled, {"own": metric(**properties)}))
    assert reasons.keys() == {"own"}
    assert sentence in reasons["own"]


def test_mysql_connector_python_gives_the_same(filled: Application, mariadb: Any) -> None:
    connector = pytest.importorskip("mysql.connector")

    def connect() -> Any:
        return connector.connect(
            host=getattr(mariadb, "host", "127.0.0.1"),
            port=mariadb.port,
            user=READER,
            password=PASSWORD,
            database=SCHEMA,
            time_zone="+00:00",
        )

    assert check(filled, AS_OF, connect=connect) == check(filled, AS_OF)
    with pytest.raises(SourceUnavailable, match="refuses access"):
        check(filled, AS_OF, connect=lambda: connector.connect(port=mariadb.port, user=READER, password="x"))
    filled.run("ALTER TABLE appointments RENAME COLUMN starts_at TO starts")
    assert lost(filled, connect=connect).keys() == {"overlapping_bookings"}


@pytest.mark.parametrize("kind", ["SSCursor", "DictCursor", "SSDictCursor"])
def test_any_cursor_that_the_connection_s_extra_may_ask_for(filled: Application, kind: str) -> None:
    cursor = getattr(MySQLdb.cursors, kind)
    assert check(filled, AS_OF, connect=lambda: filled.connect(cursorclass=cursor)) == check(filled, AS_OF)


def test_the_strictest_modes_of_grouping(filled: Application) -> None:
    """MySQL refuses by default to select what is not grouped by."""
    strict = "SET time_zone = '+00:00', sql_mode = 'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_DATE'"
    assert check(filled, AS_OF, connect=lambda: filled.connect(init_command=strict)) == check(filled, AS_OF)
