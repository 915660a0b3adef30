# SPDX-License-Identifier: MIT
"""The store on a real MariaDB: migrations, checks and samples, decisions and messages in one transaction."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import MySQLdb
import pytest

from processing_time import store_session
from processing_time.escalation import Standing
from processing_time.model import (
    Action,
    Alert,
    AlertState,
    Decision,
    Loss,
    Sample,
    Severity,
    State,
    Verdict,
    Window,
)
from processing_time.outbox import LockLost, Notification, Place
from processing_time.settings import Settings, load
from processing_time.store import Store
from processing_time.store_session import Busy, StoreError
from tests.integration.own_schema import fresh, login

TEN = datetime(2026, 11, 20, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
RATE = "phase_creation_success_rate"


@pytest.fixture
def connect(mariadb: Any) -> Callable[[], Any]:
    """Connections to an empty schema."""
    return fresh(mariadb)


@pytest.fixture
def store(connect: Callable[[], Any]) -> Iterator[Store]:
    with Store(connect) as opened:
        yield opened


@pytest.fixture
def settings() -> Settings:
    return load()


def rows(connect: Callable[[], Any], sql: str) -> list[dict[str, Any]]:
    with closing(connect()) as connection, closing(connection.cursor()) as cursor:
        return store_session.fetch(cursor, sql)


def verdict(metric: str = RATE, company: int = 0, value: float | None = 88.0, **more: Any) -> Verdict:
    as_of = more.pop("as_of", TEN)
    sample = Sample(
        metric=metric,
        window=Window(as_of - 10 * HOUR, as_of),
        company_id=company,
        value=value,
        numerator=44,
        denominator=50,
        detail=more.pop("detail", {"without_phases": 6}),
        loss=more.pop("loss", None),
    )
    given = {
        "state": State.CRITICAL,
        "severity": Severity.CRITICAL,
        "reason": "6 of 50",
        "threshold": "< 95 %",
    }
    return Verdict(sample, **{**given, **more})


def save(store: Store, as_of: datetime = TEN, verdicts: Sequence[Verdict] = (), **more: Any) -> None:
    given: dict[str, Any] = {
        "dag_run_id": "scheduled__1",
        "state": State.OK,
        "flags": {"configured": True, "enabled": True},
        "facts": {"mysql": {"watermark": {"appointments": 7, "phases": 9}}, "log": {"sightings": {}}},
        "sources": {"mysql", "log", "redis"},
    }
    store.save_check(as_of=as_of, verdicts=list(verdicts), **{**given, **more})


def finish(store: Store, settings: Settings, hour: int, **more: Any) -> None:
    """A whole check, so many hours after ten."""
    files = {"files": [{"host": "web1"}]} if "log" in more.get("sources", ["log"]) else {"files": []}
    save(store, TEN + hour * HOUR, facts={"log": files}, **more)
    store.decide(TEN + hour * HOUR, nothing, settings, TEN + hour * HOUR)


def alert(rule: str = RATE, company: int = 0, **more: Any) -> Alert:
    given = {"severity": Severity.CRITICAL, "level": 2, "state": AlertState.FIRING}
    times = dict.fromkeys(("opened_at", "last_seen_at", "last_counted_at", "last_told_at"), TEN)
    return Alert(rule, company, **{**given, **times, **more})


def opening(*alerts: Alert) -> Callable[[Standing], Any]:
    """A ruling that opens alerts which are not open yet, with a message each."""

    def ruling(standing: Standing) -> Any:
        known = {a.key for a in standing.open_alerts}
        new = [a for a in alerts if a.key not in known]
        decisions = [Decision(Action.OPEN, a.rule, a.company_id, "bad", None, a) for a in new]
        return decisions, [
            message(f"open/{a.rule}/{a.company_id}", alert=a.key, place=Place.ROOT) for a in new
        ]

    return ruling


def nothing(_: Standing) -> Any:
    return [], []


def message(key: str, **more: Any) -> Notification:
    given = {"kind": "opened", "route": "critical", "payload": {"text": "späte Phase 🚨", "blocks": []}}
    return Notification(dedupe_key=key, **{**given, **more})


# --- migrations ---------------------------------------------------------------------------------------------

VERSIONS = list(range(1, len(list(store_session.MIGRATIONS.glob("*.sql"))) + 1))


def test_first_use_makes_the_tables_of_the_contract(store: Store, connect: Callable[[], Any]) -> None:
    assert store.newest_finished() is None
    tables = {next(iter(row.values())) for row in rows(connect, "SHOW TABLES")}
    assert {"checks", "samples", "alerts", "notifications", "weekly", "monthly", "actions"} <= tables
    engines = rows(
        connect,
        "SELECT DISTINCT engine, table_collation FROM information_schema.tables"
        " WHERE table_schema = 'processing_time_monitor'",
    )
    assert [tuple(row.values()) for row in engines] == [("InnoDB", "utf8mb4_bin")]


def test_a_migration_that_was_cut_off_is_taken_up_again(
    connect: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    statements = store_session._statements

    def broken(file: Any) -> list[str]:
        return (
            [*statements(file)[:1], "SELECT * FROM not_there"]
            if file.name.startswith("002")
            else statements(file)
        )

    monkeypatch.setattr(store_session, "_statements", broken)
    with pytest.raises(MySQLdb.ProgrammingError):
        Store(connect).newest_finished()
    monkeypatch.setattr(store_session, "_statements", lambda f: done.append(f.name[:3]) or statements(f))
    assert Store(connect).newest_finished() is None
    assert done == [f"{number:03}" for number in VERSIONS[1:]]


def test_two_first_uses_at_once(connect: Callable[[], Any]) -> None:
    gate, found = threading.Barrier(4), []

    def start() -> None:
        gate.wait()
        with Store(connect) as one:
            found.append(one.newest_finished())

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [None] * 4
    assert [row["version"] for row in rows(connect, "SELECT version FROM schema_version")] == VERSIONS


def test_later_uses_migrate_nothing(
    store: Store, connect: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.newest_finished()
    monkeypatch.setattr(store_session, "_statements", lambda file: pytest.fail(f"{file} was read again"))
    assert Store(connect).newest_finished() is None


@pytest.mark.parametrize(
    ("login", "expected"),
    [
        (
            {"password": "wrong"},
            "the server refuses it (error 1045): check its login, or run CREATE DATABASE",
        ),
        ({"database": "not_there"}, "the server refuses it (error 1044)"),
        ({"port": 1}, "its server does not answer (error 200"),
    ],
)
def test_a_connection_that_does_not_work_is_one_sentence(
    mariadb: Any,
    connect: Callable[[], Any],
    login: dict[str, Any],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(store_session, "ATTEMPTS", 1)
    port = login.pop("port", mariadb.port)

    def wrong() -> Any:
        return MySQLdb.connect(
            **{"host": "127.0.0.1", "port": port, "user": "store_test", "password": "store-test", **login}
        )

    with pytest.raises(StoreError) as caught:
        Store(wrong).newest_finished()
    assert expected in str(caught.value)
    assert "processing_time_store" in str(caught.value)
    assert "store-test" not in str(caught.value)


def test_a_missing_database_is_one_sentence(mariadb: Any) -> None:
    def as_root() -> Any:
        connection = mariadb.root()
        connection.select_db("not_there")
        return connection

    with pytest.raises(
        StoreError, match="its database does not exist: run CREATE DATABASE processing_time_monitor"
    ):
        Store(as_root).newest_finished()


def test_a_connection_without_a_schema_uses_ours(mariadb: Any, store: Store) -> None:
    store.newest_finished()
    with Store(lambda: login(mariadb, database="")) as other:
        save(other)
        assert [c.as_of for c in other.checks(TEN, TEN + HOUR)] == [TEN]


def test_the_session_of_the_server_is_left_alone(store: Store, mariadb: Any) -> None:
    with closing(mariadb.root()) as root, closing(root.cursor()) as cursor:
        before = store_session.fetch(cursor, "SELECT @@global.time_zone, @@global.sql_mode")
        store.newest_finished()
        assert store_session.fetch(cursor, "SELECT @@global.time_zone, @@global.sql_mode") == before


@pytest.mark.parametrize(
    "driver", ["dict cursor", "unbuffered cursor", "mysql-connector-python", "charset utf8", "charset latin1"]
)
def test_other_drivers_and_cursors(
    mariadb: Any, connect: Callable[[], Any], settings: Settings, driver: str
) -> None:
    def other() -> Any:
        if driver == "mysql-connector-python":
            import mysql.connector

            return mysql.connector.connect(
                host="127.0.0.1",
                port=mariadb.port,
                user="store_test",
                password="store-test",
                database="processing_time_monitor",
            )
        if driver.startswith("charset "):
            return login(mariadb, charset=driver.removeprefix("charset "))
        import MySQLdb.cursors

        kind = MySQLdb.cursors.DictCursor if driver == "dict cursor" else MySQLdb.cursors.SSCursor
        return login(mariadb, cursorclass=kind)

    with Store(other) as store:
        save(store, TEN, [verdict(), verdict(company=3, detail={"name": "Anna 🚨"})])
        store.decide(TEN, opening(alert()), settings, TEN + HOUR)
        assert [v.company_id for v in store.verdicts(TEN)] == [0, 3]
        assert store.verdicts(TEN)[0] == replace(
            verdict(), sample=replace(verdict().sample, detail={"without_phases": 6, "threshold": "< 95 %"})
        )
        assert [a.rule for a in store.standing(TEN, settings).open_alerts] == [RATE]
        with store.outbox.delivering():
            (owed,) = store.outbox.due(TEN)
            store.outbox.attempt(owed, "C1", TEN)
            store.outbox.posted(owed, "C1", "1.2")
            store.outbox.delivered(owed, TEN)
        assert store.outbox.due(TEN) == []


# --- checks and samples -------------------------------------------------------------------------------------


def test_a_verdict_comes_back_as_it_was(store: Store) -> None:
    given = [
        verdict(detail={"threshold": "< 95 %", "ids": [3, 1], "text": "Grüße ' \\ %s"}),
        verdict(
            "phase_creation_time",
            value=None,
            state=State.UNKNOWN,
            severity=None,
            loss=Loss.NEVER,
            level_cap=1,
        ),
        verdict(
            "overlapping_bookings",
            value=1 / 3,
            state=State.DEGRADED,
            severity=None,
            certain=False,
            muted="so",
        ),
    ]
    given = [
        replace(v, sample=replace(v.sample, detail={**v.sample.detail, "threshold": "< 95 %"})) for v in given
    ]
    given[1] = replace(given[1], sample=replace(given[1].sample, reason=given[1].reason))
    save(store, TEN, given)
    assert {v.metric: v for v in store.verdicts(TEN)} == {v.metric: v for v in given}


def test_a_repeated_check_replaces_its_rows(store: Store, connect: Callable[[], Any]) -> None:
    save(store, TEN, [verdict(), verdict(company=4), verdict("gone")])
    save(store, TEN, [verdict(), verdict(company=5)], dag_run_id="again", state=State.CRITICAL)
    assert [(v.metric, v.company_id) for v in store.verdicts(TEN)] == [(RATE, 0), (RATE, 5)]
    (check,) = store.checks(TEN, TEN + HOUR)
    assert (check.dag_run_id, check.state, check.finished_at) == ("again", State.CRITICAL, None)


def test_a_repeated_check_stays_finished(store: Store, settings: Settings) -> None:
    save(store)
    store.decide(TEN, nothing, settings, TEN + timedelta(minutes=1))
    save(store)
    (check,) = store.checks(TEN, TEN + HOUR)
    assert (check.finished_at, check.counted) == (TEN + timedelta(minutes=1), True)


def test_many_companies_are_kept(store: Store) -> None:
    save(store, TEN, [verdict(company=company) for company in range(3000)])
    assert len(store.verdicts(TEN)) == 3000


def test_since_last_check_of_each_source(store: Store, settings: Settings) -> None:
    save(store, TEN)
    assert store.since(TEN + HOUR, "log") is None, "it is not finished"
    store.decide(TEN, nothing, settings, TEN)
    save(store, TEN + HOUR, sources={"mysql"})
    store.decide(TEN + HOUR, nothing, settings, TEN + HOUR)
    assert store.since(TEN + 2 * HOUR, "mysql") == TEN + HOUR
    assert store.since(TEN + 2 * HOUR, "log") == TEN
    assert store.since(TEN, "log") is None, "only what came before"


def test_a_repeated_check_keeps_its_start(store: Store, settings: Settings) -> None:
    for at in (TEN, TEN + 2 * HOUR):
        save(store, at)
        store.decide(at, nothing, settings, at)
    save(store, TEN + HOUR)  # a backfill between the two
    store.decide(TEN + HOUR, nothing, settings, TEN + 3 * HOUR)
    assert store.since(TEN + 2 * HOUR, "log") == TEN
    assert store.since(TEN, "log") is None, "the first one keeps that there was none"
    assert store.since(TEN + 2 * HOUR - timedelta(minutes=1), "log") == TEN + HOUR


@pytest.mark.parametrize("again", [True, False], ids=["cleared", "for the first time"])
def test_what_a_check_that_decides_nothing_has_read_is_read_again(
    store: Store, settings: Settings, again: bool
) -> None:
    finish(store, settings, 0)
    for hour in (1, 2) if again else (2,):
        finish(store, settings, hour, sources={"mysql"})
    finish(store, settings, 1)  # the log is back, but there is a newer check: this one tells nobody
    assert store.since(TEN + 2 * HOUR, "log") == TEN, "the newest decides again when it is cleared as well"
    assert store.since(TEN + 3 * HOUR, "log") == TEN
    assert store.since(TEN + 3 * HOUR, "mysql") == TEN + 2 * HOUR
    assert store.since(TEN + HOUR, "log") == TEN, "cleared once more it has the start that it had"
    assert store.since(TEN + HOUR, "mysql") == TEN
    assert store.since(TEN + 1.5 * HOUR, "log") == TEN + HOUR, "another that decides nothing goes on from it"
    assert store.hosts_read(TEN, TEN + 3 * HOUR) == [], "nobody was told of what it found there"
    finish(store, settings, 3)
    assert store.since(TEN + 4 * HOUR, "log") == TEN + 3 * HOUR


def test_what_a_check_has_read_before_a_newer_one_overtook_it_is_read_again(
    store: Store, settings: Settings
) -> None:
    finish(store, settings, 0)
    save(store, TEN + HOUR)
    finish(store, settings, 2, sources={"mysql"})
    store.decide(TEN + HOUR, nothing, settings, TEN + 3 * HOUR)
    assert store.since(TEN + 3 * HOUR, "log") == TEN


def test_an_old_check_that_is_cleared_has_still_told_what_it_told(store: Store, settings: Settings) -> None:
    for hour in (0, 1):
        finish(store, settings, hour)
    finish(store, settings, 2, sources={"mysql"})
    finish(store, settings, 1)
    assert store.since(TEN + 3 * HOUR, "log") == TEN + HOUR


def test_memory(store: Store) -> None:
    flags = [{"configured": True, "enabled": on} for on in (False, True, True)]
    for days, flag in zip((30, 20, 1), flags, strict=True):
        seen = {"log": {"sightings": {"x.alive": (TEN - timedelta(days=days)).isoformat()}}}
        save(store, TEN - timedelta(days=days), [verdict()], flags=flag, facts=seen)
    save(store, TEN - timedelta(hours=2), [verdict("lost", value=None)], flags=None, facts={})
    old = {"log": {"sightings": {"x.alive": (TEN - timedelta(days=40)).isoformat()}}}
    save(store, TEN - timedelta(days=40), [], flags=None, facts=old)
    memory = store.memory(TEN)
    assert memory.sightings == store.sightings() == {"x.alive": TEN - timedelta(days=1)}, "the latest counts"
    assert memory.measured == {RATE}
    assert [(at, f["enabled"]) for at, f in memory.flags] == [
        (TEN - timedelta(days=20), True),
        (TEN - timedelta(days=1), True),
    ], "those of the last days and the one before"
    assert store.flags(TEN - timedelta(days=30)) == flags[0]
    assert store.flags(TEN) is None
    assert store.flags(TEN - timedelta(hours=2)) is None


@pytest.mark.parametrize(
    ("value", "denominator", "state", "expected"),
    [
        (12.0, None, State.OK, True),
        (0.0, None, State.INSUFFICIENT_DATA, False),
        (0.0, 60, State.OK, True),
        (0.0, 0, State.INSUFFICIENT_DATA, False),
        (90.0, 3, State.INSUFFICIENT_DATA, True),
        (0.0, None, State.OK, True),
        (None, None, State.UNKNOWN, False),
    ],
)
def test_what_is_remembered_as_measured(
    store: Store, value: float | None, denominator: float | None, state: State, expected: bool
) -> None:
    given = verdict(value=value, state=state)
    save(store, TEN, [replace(given, sample=replace(given.sample, denominator=denominator))])
    assert (RATE in store.memory(TEN + HOUR).measured) is expected


def test_watermarks(store: Store) -> None:
    save(store, TEN - timedelta(days=10))
    save(store, TEN - 2 * HOUR)
    save(store, TEN - HOUR, facts={})
    save(store, TEN)
    assert store.watermarks(TEN) == [(TEN - 2 * HOUR, {"appointments": 7, "phases": 9})]


def test_bad_checks_in_a_row(store: Store, settings: Settings) -> None:
    patient = {RATE: settings.metrics[RATE].model_copy(update={"for_checks": 3})}
    settings = settings.model_copy(update={"metrics": {**settings.metrics, **patient}})
    states = [State.CRITICAL, State.OK, State.ALERT, State.UNKNOWN, State.CRITICAL]
    for hour, state in enumerate(states):
        at = TEN + hour * HOUR
        save(store, at, [verdict(state=state), verdict("phase_distribution", state=State.ALERT)])
        store.decide(at, nothing, settings, at)
    after = TEN + len(states) * HOUR
    assert store.standing(after, settings).streaks == {(RATE, 0): 2}, (
        "what could not be measured is passed over"
    )
    assert store.standing(TEN + HOUR, settings).streaks == {(RATE, 0): 1}


# --- decisions and messages -----------------------------------------------------------------------------------


def test_an_alert_comes_back_as_it_was(store: Store, settings: Settings) -> None:
    given = alert(
        company=7,
        acknowledged_by="U1",
        acknowledged_at=TEN,
        acknowledged_until=TEN + HOUR,
        toggle_requested_at=TEN,
        subjects=(5, 3),
        acknowledgers=("U1", "U2"),
        thread_company=9,
        bad_checks=4,
        good_checks=1,
        critical_checks=2,
    )
    save(store)
    (decision,) = store.decide(TEN, opening(given), settings, TEN)
    assert decision.after is not None
    assert decision.after.id is not None
    assert store.standing(TEN, settings).open_alerts == [replace(given, id=decision.after.id)]
    later = replace(
        decision.after, state=AlertState.RESOLVED, resolved_at=TEN + HOUR, level=3, slack_ts="not mine"
    )

    def resolve(standing: Standing) -> Any:
        return [Decision(Action.RESOLVE, later.rule, 7, "clear", standing.open_alerts[0], later)], []

    save(store, TEN + HOUR)
    store.decide(TEN + HOUR, resolve, settings, TEN + HOUR)
    assert store.standing(TEN + HOUR, settings).open_alerts == []
    assert store.alerts(TEN, TEN + HOUR) == [replace(later, slack_ts=None)], (
        "the thread is the delivery's to say"
    )
    assert store.alerts(TEN + 2 * HOUR, TEN + 3 * HOUR) == []


def test_a_rule_and_company_has_one_open_alert_and_many_resolved(store: Store, settings: Settings) -> None:
    save(store)
    gone = replace(alert(), state=AlertState.RESOLVED, resolved_at=TEN)

    def ruling(_: Standing) -> Any:
        return [Decision(Action.OPEN, RATE, 0, "", None, a) for a in (gone, gone, alert())], []

    store.decide(TEN, ruling, settings, TEN)
    with pytest.raises(MySQLdb.IntegrityError):
        store.decide(TEN, ruling, settings, TEN)
    assert len(store.alerts(TEN - HOUR, TEN + HOUR)) == 3, "the second try left nothing"


def test_state_and_messages_are_one_transaction(
    store: Store, connect: Callable[[], Any], settings: Settings
) -> None:
    save(store)

    def ruling(_: Standing) -> Any:
        return [Decision(Action.OPEN, RATE, 0, "", None, alert())], [message("x", kind="k" * 31)]

    with pytest.raises(MySQLdb.DataError):
        store.decide(TEN, ruling, settings, TEN)
    assert rows(connect, "SELECT * FROM alerts") == []
    assert store.newest_finished() is None


def test_the_same_decision_again_changes_nothing(
    store: Store, connect: Callable[[], Any], settings: Settings
) -> None:
    save(store)
    for _ in range(3):
        store.decide(TEN, opening(alert(), alert("stale_phases")), settings, TEN)
    store.decide(TEN, lambda _: ([], [message("once"), message("once")]), settings, TEN)
    assert [r["dedupe_key"] for r in rows(connect, "SELECT dedupe_key FROM notifications ORDER BY id")] == [
        f"open/{RATE}/0",
        "open/stale_phases/0",
        "once",
    ]


def test_an_older_check_decides_nothing(store: Store, settings: Settings) -> None:
    for at in (TEN, TEN - HOUR):
        save(store, at)
        store.decide(at, nothing if at == TEN else lambda _: pytest.fail("asked"), settings, at)
    assert [(c.finished_at is not None, c.counted) for c in store.checks(TEN - HOUR, TEN + HOUR)] == [
        (True, False),
        (True, True),
    ]


def test_what_counts(store: Store, settings: Settings) -> None:
    for minutes in (0, 20, 40, 60):
        at = TEN + timedelta(minutes=minutes)
        save(store, at)
        store.decide(at, nothing, settings, at)
    assert [c.counted for c in store.checks(TEN, TEN + 2 * HOUR)] == [True, False, True, False]
    assert store.standing(TEN + HOUR, settings).last_counted_at == TEN + timedelta(minutes=40)


def test_two_runs_at_once_open_one_alert(connect: Callable[[], Any], settings: Settings) -> None:
    with Store(connect) as first:
        save(first)
    inside, seen = threading.Barrier(2), []

    def run() -> None:
        with Store(connect) as mine:
            mine.newest_finished()
            inside.wait()

            def ruling(standing: Standing) -> Any:
                seen.append(len(standing.open_alerts))
                return opening(alert())(standing)

            mine.decide(TEN, ruling, settings, TEN)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == [0, 1]
    assert (
        len(rows(connect, "SELECT id FROM alerts")) == len(rows(connect, "SELECT id FROM notifications")) == 1
    )


@pytest.mark.parametrize(
    "statement", ["INSERT INTO alerts", "INSERT INTO notifications", "UPDATE checks", "COMMIT"]
)
def test_a_connection_lost_on_the_way_is_repeated_as_a_whole(
    connect: Callable[[], Any], mariadb: Any, settings: Settings, statement: str
) -> None:
    """The server ends our connection just before, or, for COMMIT, just after a statement."""
    cut: list[int] = []

    def cutting() -> Any:
        connection = connect()
        if not cut:
            connection = _Cut(connection, statement, mariadb, cut)
        return connection

    with Store(connect) as plain:
        save(plain)
    with Store(cutting) as store:
        store.decide(TEN, opening(alert()), settings, TEN)
        assert cut, "the connection was not cut"
        assert store.newest_finished() == TEN
    assert (
        len(rows(connect, "SELECT id FROM alerts")) == len(rows(connect, "SELECT id FROM notifications")) == 1
    )


class _Cut:
    """A connection that the server kills around one statement, once."""

    def __init__(self, connection: Any, statement: str, mariadb: Any, cut: list[int]) -> None:
        self._connection, self._statement, self._mariadb, self._cut = connection, statement, mariadb, cut

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def cursor(self) -> Any:
        cursor = self._connection.cursor()
        execute = cursor.execute

        def cutting(sql: Any, parameters: Any = None) -> Any:
            text = sql.decode() if isinstance(sql, bytes | bytearray) else sql
            due = text.startswith(self._statement) and not self._cut
            if due and self._statement == "COMMIT":
                execute(sql, parameters)
            if due:
                self._cut.append(self._connection.thread_id())
                with closing(self._mariadb.root()) as root, closing(root.cursor()) as killer:
                    killer.execute(f"KILL {self._cut[0]}")
            return execute(sql, parameters)

        cursor.execute = cutting
        return cursor


def test_a_deadlock_is_repeated(connect: Callable[[], Any], settings: Settings) -> None:
    with Store(connect) as store:
        save(store)
        calls = []

        def ruling(standing: Standing) -> Any:
            calls.append(1)
            if len(calls) == 1:
                raise MySQLdb.OperationalError(1213, "Deadlock found")
            return opening(alert())(standing)

        store.decide(TEN, ruling, settings, TEN)
    assert len(calls) == 2


def test_the_server_stays_away(connect: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_session, "ATTEMPTS", 2)
    opened = []

    def gone() -> Any:
        opened.append(1)
        raise MySQLdb.OperationalError(2003, "Can't connect to server on 'db.internal'")

    with pytest.raises(StoreError, match=r"does not answer \(error 2003\)") as caught:
        Store(gone).newest_finished()
    assert "db.internal" not in str(caught.value)
    assert len(opened) == 2


# --- the outbox ---------------------------------------------------------------------------------------------


def test_a_message_is_owed_until_it_is_delivered(store: Store, settings: Settings) -> None:
    save(store)
    store.decide(TEN, opening(alert(), alert(company=3, thread_company=0)), settings, TEN)
    store.outbox.add([message("report", kind="report", route="reports", not_before=TEN + HOUR)], TEN)
    with store.outbox.delivering():
        first, second = store.outbox.due(TEN)
        assert (first.dedupe_key, first.payload["text"]) == (f"open/{RATE}/0", "späte Phase 🚨")
        assert (first.attempts, first.in_doubt_since, first.at) == (0, None, None)
        assert store.outbox.thread(first.alert_id) is None
        store.outbox.attempt(first, "C1", TEN)
        store.outbox.attempt(first, "C2", TEN + HOUR)
        (doubted, *_) = store.outbox.due(TEN)
        assert (doubted.attempts, doubted.in_doubt_since, doubted.tried_channel) == (2, TEN, "C2")
        store.outbox.refused(first, "ratelimited")
        (refused, *_) = store.outbox.due(TEN)
        assert refused.in_doubt_since is None
        store.outbox.posted(first, "C9", "17.5")
        (posted, other) = store.outbox.due(TEN)
        assert posted.at == ("C9", "17.5")
        assert store.outbox.thread(other.alert_id) == ("C9", "17.5"), "the alert that shares the thread"
        store.outbox.delivered(first, TEN + HOUR)
        store.outbox.delivered(second, TEN + HOUR)
    assert [o.dedupe_key for o in store.outbox.due(TEN + HOUR)] == ["report"]
    assert [(a.slack_channel, a.slack_ts) for a in store.alerts(TEN, TEN + HOUR)] == [("C9", "17.5")] * 2


def test_only_one_process_delivers(store: Store, connect: Callable[[], Any]) -> None:
    with Store(connect) as other:
        with (
            store.outbox.delivering(),
            pytest.raises(Busy, match="'deliver'"),
            other.outbox.delivering(wait=0),
        ):
            pytest.fail("two at once")
        with other.outbox.delivering(wait=0):
            pass


def test_nothing_is_sent_without_the_lock(store: Store, connect: Callable[[], Any], mariadb: Any) -> None:
    store.outbox.add([message("x")], TEN)
    others = (
        "SELECT id FROM information_schema.processlist WHERE user = 'store_test' AND id <> CONNECTION_ID()"
    )
    with store.outbox.delivering():
        (owed,) = store.outbox.due(TEN)
        (holder,) = rows(connect, others)
        with closing(mariadb.root()) as root, closing(root.cursor()) as cursor:
            cursor.execute(f"KILL {holder['id']}")
        with pytest.raises(LockLost):
            store.outbox.attempt(owed, "C1", TEN)
    assert store.outbox.due(TEN)[0].attempts == 0


def test_json_is_readable_by_others(store: Store, connect: Callable[[], Any], settings: Settings) -> None:
    save(store, TEN, [verdict()])
    store.decide(TEN, opening(alert()), settings, TEN)
    (row,) = rows(connect, "SELECT JSON_VALUE(detail, '$.without_phases') AS n, detail FROM samples")
    assert row["n"] == "6"
    assert json.loads(row["detail"])["threshold"] == "< 95 %"
