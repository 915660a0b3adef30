# SPDX-License-Identifier: MIT
"""Whole checks in a real Airflow against a real MariaDB, Redis and log: the numbers, and what happens without a source."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from demo.account import Account, Flags
from demo.application import PASSWORDS, Application
from demo.services import MariaDB, Redis
from demo.slack import StandInSlack
from demo.traffic import Plan, Surge, Trouble, generate

HOUR = timedelta(hours=1)
AS_OF = datetime(2026, 6, 10, 12, tzinfo=UTC)
"""A Wednesday, 14:00 in Berlin."""
Watch = Callable[[Application], None]


def rows(application: Application, server: MariaDB, statement: str) -> list[dict[str, Any]]:
    import MySQLdb.cursors

    with contextlib.closing(server.root(application.store)) as connection:
        cursor = connection.cursor(MySQLdb.cursors.DictCursor)
        cursor.execute(statement)
        return list(cursor.fetchall())


def samples(application: Application, server: MariaDB, as_of: datetime = AS_OF) -> dict[tuple[str, int], Any]:
    found = rows(application, server, f"SELECT * FROM samples WHERE as_of = '{as_of:%Y-%m-%d %H:%M:%S}'")
    return {(row["metric"], row["company_id"]): row for row in found}


def broken_plan(world: str, until: datetime, **more: Any) -> Plan:
    start = until - timedelta(minutes=55)
    return Plan(
        until,
        world=world,
        days=9,
        surges=(Surge(until - HOUR, until, per_hour=80),),
        phase_failures=(Trouble(start, until, 0.9, company_id=2),),
        sync_failures=(Trouble(until - timedelta(days=2), until, 0.1),),
        **more,
    )


INSTANTS = {
    "ordinary day": AS_OF,
    "spring day": datetime.fromisoformat("2026-03-29T12:00+02:00").astimezone(UTC),
    "autumn day": datetime.fromisoformat("2026-10-25T12:00+01:00").astimezone(UTC),
    "new year": datetime.fromisoformat("2026-01-01T12:00+01:00").astimezone(UTC),
}


@pytest.mark.parametrize("world", ["guide", "deployed"])
@pytest.mark.parametrize("as_of", INSTANTS.values(), ids=INSTANTS)
def test_numbers_are_those_of_an_independent_count(
    world: str,
    as_of: datetime,
    runs: Any,
    application: Application,
    watch: Watch,
    mariadb: MariaDB,
) -> None:
    account = generate(broken_plan(world, as_of + timedelta(minutes=7)))
    application.build(account)
    watch(application)
    runs.check(as_of)
    found = samples(application, mariadb, as_of)
    failed = "failed" if world == "deployed" else "error"
    for company in (0, *(c.id for c in account.companies)):
        made, total = account.phase_creation(as_of, company)
        orphans, both_days = account.orphans(as_of, company)
        sync, week = account.synced(as_of, company)
        stale, with_phases = account.stale(as_of, company)
        for metric, numerator, denominator in (
            ("phase_creation_success_rate", made, total),
            ("orphaned_appointments", len(orphans), both_days),
            ("calcom_sync_success_rate", sync["synced"], week),
            ("stale_phases", stale, with_phases),
        ):
            if denominator or not company:
                row = found.pop((metric, company))
                assert (row["numerator"], row["denominator"]) == (numerator, denominator), (metric, company)
            else:
                assert (metric, company) not in found
        for metric, counted in (
            ("phase_creation_burn_rate", account.without_phases),
            ("calcom_sync_burn_rate", account.not_synced),
        ):
            hours = {"3 d": 72, "24 h": 24, "6 h": 6, "2 h": 2}
            windows = {name: counted(as_of, h * HOUR, company) for name, h in hours.items()}
            if windows["3 d"][1] or not company:
                told = json.loads(found.pop((metric, company))["detail"])["windows"]
                assert {n: (w["failing"], w["total"]) for n, w in told.items()} == windows, (metric, company)
            else:
                assert (metric, company) not in found
        if not company:
            detail = json.loads(samples(application, mariadb, as_of)["calcom_sync_success_rate", 0]["detail"])
            assert detail["errors"] == sync[failed]
            codes = {"CALCOM_503": sync[failed]} if world == "deployed" else {}
            assert {c: n for c, n in detail["by_error_code"].items() if c != "NULL"} == codes
    assert found["overlapping_bookings", 0]["value"] == len(account.overlaps(as_of))
    start, window = as_of - HOUR, timedelta(hours=1)
    failures = [
        r
        for kind in ("phases_failed", "phases_update_failed")
        for r in account.happened(kind, start - window, as_of)
    ]
    within = [r for r in failures if r.at >= start]
    rule = found["phase_creation_failures", 0]
    assert rule["numerator"] == len(within)
    assert rule["value"] == max(
        (sum(1 for f in failures if r.at - window < f.at <= r.at) for r in within), default=0
    )
    assert len(within) > 10
    if world == "guide":
        hits, misses = (len(account.happened(k, start, as_of)) for k in ("cache_hit", "cache_miss"))
        row = found["availability_cache_hit_rate", 0]
        assert (row["numerator"], row["denominator"]) == (hits, hits + misses)
        created = account.happened("phases_created", start, as_of)
        assert found["phase_creation_time", 0]["denominator"] == len(created)


@pytest.fixture
def healthy(application: Application, watch: Watch) -> Account:
    """An application in which all is well up to a few minutes after AS_OF, watched."""
    account = generate(Plan(AS_OF + timedelta(minutes=5), days=9))
    application.build(account)
    watch(application)
    return account


DATABASE = (
    "phase_creation_success_rate",
    "phase_creation_burn_rate",
    "calcom_sync_success_rate",
    "calcom_sync_burn_rate",
    "phase_distribution",
    "overlapping_bookings",
    "orphaned_appointments",
    "stale_phases",
)
LOG = (
    "phase_creation_time",
    "availability_cache_hit_rate",
    "phase_creation_failures",
    "observer_disabled",
    "cache_miss_spike",
    "calcom_sync_failures",
)
CACHE = ("cached_availability_entries",)


def states(application: Application, server: MariaDB, as_of: datetime = AS_OF) -> dict[str, str]:
    return {
        metric: row["state"]
        for (metric, company), row in samples(application, server, as_of).items()
        if not company
    }


@pytest.mark.usefixtures("healthy")
def test_all_is_well(runs: Any, application: Application, mariadb: MariaDB, slack: StandInSlack) -> None:
    run = runs.check(AS_OF)
    assert states(application, mariadb) == dict.fromkeys((*DATABASE, *LOG, *CACHE), "ok")
    assert run["run"] == "success"
    assert slack.messages() == []
    check = rows(application, mariadb, "SELECT * FROM checks")
    assert [(c["as_of"], c["state"]) for c in check] == [(AS_OF.replace(tzinfo=None), "ok")]
    assert check[0]["finished_at"] is not None
    assert json.loads(check[0]["flags"])["configured"] is True


@pytest.mark.usefixtures("healthy")
def test_no_task_leaves_a_connection_open(runs: Any, mariadb: MariaDB) -> None:
    def connected() -> set[int]:
        with contextlib.closing(mariadb.root()) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID()")
            return {number for (number,) in cursor.fetchall()}

    before = connected()
    runs.check(AS_OF)
    assert connected() <= before


def change(application: Application, statement: str) -> None:
    with contextlib.closing(application.connect()) as connection:
        connection.cursor().execute(statement)


@pytest.mark.parametrize(
    ("damage", "lost", "reason"),
    [
        (
            lambda app: change(app, "ALTER TABLE appointments RENAME COLUMN sync_status TO state"),
            {"calcom_sync_success_rate", "calcom_sync_burn_rate"},
            "appointments has no column sync_status: set application.sync_status_column",
        ),
        (
            lambda app: change(app, "DROP TABLE appointment_phases"),
            set(DATABASE) - {"calcom_sync_success_rate", "calcom_sync_burn_rate"},
            "there is no table appointment_phases",
        ),
        (
            lambda app: app.remove_logs(),
            set(LOG),
            "application.logs",
        ),
        (
            lambda app: app.env_file.unlink(),
            {
                "phase_creation_success_rate",
                "phase_creation_burn_rate",
                "calcom_sync_success_rate",
                "calcom_sync_burn_rate",
                "phase_distribution",
                "orphaned_appointments",
            },
            "application.env_file",
        ),
    ],
    ids=["column renamed", "table dropped", "log removed", ".env removed"],
)
@pytest.mark.usefixtures("healthy")
def test_what_cannot_be_measured_is_unknown_and_the_rest_is_measured(
    damage: Callable[[Application], object],
    lost: set[str],
    reason: str,
    runs: Any,
    application: Application,
    mariadb: MariaDB,
    slack: StandInSlack,
) -> None:
    damage(application)
    runs.check(AS_OF)
    found = samples(application, mariadb)
    unknown = {metric for (metric, _), row in found.items() if row["state"] == "unknown"}
    assert unknown == lost
    for metric in lost:
        assert reason in found[metric, 0]["reason"]
        assert found[metric, 0]["value"] is None
    assert {found[m, 0]["state"] for m in {*DATABASE, *LOG, *CACHE} - lost} == {"ok"}
    assert slack.messages(), "blindness is told"


def test_one_of_several_logs_that_vanishes_is_missed_at_once(
    runs: Any, application: Application, mariadb: MariaDB, watch: Watch
) -> None:
    account = generate(Plan(AS_OF, world="deployed", days=3))
    application.build(account)
    watch(application)
    runs.check(AS_OF - HOUR)
    (application.logs / "laravel.log").unlink()
    runs.check(AS_OF)
    found = samples(application, mariadb)
    assert {found[m, 0]["state"] for m in LOG} == {"unknown"}
    assert "laravel*.log* matches no file any more" in found["calcom_sync_failures", 0]["reason"]
    application.write_logs(account.records)
    runs.check(AS_OF + timedelta(minutes=40))
    later = samples(application, mariadb, AS_OF + timedelta(minutes=40))["calcom_sync_failures", 0]
    assert (later["state"], later["window_start"]) == ("ok", (AS_OF - HOUR).replace(tzinfo=None))


def test_redis_that_is_gone_is_unknown(
    runs: Any,
    mariadb: MariaDB,
    tmp_path: Path,
    watch: Watch,
) -> None:
    with Redis(tmp_path / "redis") as own:
        application = Application(mariadb, own, tmp_path / "app")
        application.build(generate(Plan(AS_OF, days=3)))
        watch(application)
    run = runs.check(AS_OF)
    found = states(application, mariadb)
    assert found["cached_availability_entries"] == "unknown"
    assert "unknown" not in {found[m] for m in (*DATABASE, *LOG)}
    assert run["collect_cache"] == "success"


def test_an_empty_database_is_never_healthy(
    runs: Any, application: Application, mariadb: MariaDB, watch: Watch
) -> None:
    application.create("guide")
    application.write_logs([])
    application.write_flags(Flags())
    watch(application)
    runs.check(AS_OF)
    found = states(application, mariadb)
    assert {found[m] for m in DATABASE} == {"insufficient_data"}
    assert "ok" not in {found[m] for m in ("phase_creation_time", "availability_cache_hit_rate")}


@pytest.mark.usefixtures("healthy")
def test_a_server_that_is_gone_costs_its_own_metrics(
    runs: Any, application: Application, mariadb: MariaDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_PROCESSING_TIME_MYSQL", "mysql://pt_monitor:s3cr3t-pw@127.0.0.1:9/booking"
    )
    runs.check(AS_OF)
    found = samples(application, mariadb)
    assert {found[m, 0]["state"] for m in DATABASE} == {"unknown"}
    assert all("processing_time_mysql" in found[m, 0]["reason"] for m in DATABASE)
    assert all("s3cr3t-pw" not in found[m, 0]["reason"] for m in DATABASE)
    assert {found[m, 0]["state"] for m in (*LOG, *CACHE)} <= {"ok", "unknown"}


def test_the_first_check_of_the_day_finds_a_burst_of_the_night(
    runs: Any, application: Application, mariadb: MariaDB, watch: Watch
) -> None:
    eight = datetime.fromisoformat("2026-06-11T08:00+02:00").astimezone(UTC)
    night = datetime.fromisoformat("2026-06-11T03:10+02:00").astimezone(UTC)
    plan = Plan(
        eight + timedelta(minutes=2),
        days=4,
        surges=(Surge(night, night + timedelta(minutes=10), per_hour=120),),
        phase_failures=(Trouble(night, night + timedelta(minutes=10), 0.9),),
    )
    account = generate(plan)
    application.build(account)
    watch(application)
    runs.check(eight - timedelta(hours=12))
    runs.check(eight)
    rule = samples(application, mariadb, eight)["phase_creation_failures", 0]
    burst = account.happened("phases_failed", night, night + timedelta(minutes=10))
    assert len(burst) > 5
    assert (rule["state"], rule["value"]) == (
        "alert",
        account.bursts(eight, eight - timedelta(hours=12))["phase_creation_failures"],
    )
    assert rule["window_start"] == (eight - timedelta(hours=12)).replace(tzinfo=None)
    runs.check(eight + HOUR)
    assert samples(application, mariadb, eight + HOUR)["phase_creation_failures", 0]["state"] == "ok"


def test_an_outage_of_the_log_hides_nothing(
    runs: Any, application: Application, mariadb: MariaDB, watch: Watch
) -> None:
    burst = AS_OF - timedelta(minutes=90)
    account = generate(
        Plan(
            AS_OF + timedelta(minutes=1),
            days=3,
            surges=(Surge(burst, burst + timedelta(minutes=20), per_hour=120),),
            phase_failures=(Trouble(burst, burst + timedelta(minutes=20), 0.9),),
        )
    )
    application.build(account)
    watch(application)
    runs.check(AS_OF - 2 * HOUR)
    application.remove_logs()
    runs.check(AS_OF - HOUR)
    application.write_logs(account.records)
    runs.check(AS_OF)
    rule = samples(application, mariadb)["phase_creation_failures", 0]
    assert rule["window_start"] == (AS_OF - 2 * HOUR).replace(tzinfo=None)
    assert rule["state"] == "alert"


def test_the_same_run_twice_gives_the_same_rows(
    runs: Any, application: Application, mariadb: MariaDB, watch: Watch, slack: StandInSlack
) -> None:
    application.build(generate(broken_plan("guide", AS_OF)))
    watch(application)

    def kept() -> dict[str, list[dict[str, Any]]]:
        tables = ("samples", "alerts", "notifications")
        kept = {t: rows(application, mariadb, f"SELECT * FROM {t}") for t in tables}
        return kept | {"messages": [(m["channel"], m["ts"], m["text"]) for m in slack.messages()]}

    runs.check(AS_OF - HOUR)
    first_run = runs.check(AS_OF)
    first = kept()
    # A rerun is a clear as well: the same instant is asked about again.
    assert runs.check(AS_OF) == first_run
    assert kept() == first
    assert first["alerts"]
    assert first_run["verdict"] == "failed"


def test_an_older_check_keeps_its_samples_and_tells_nobody(
    runs: Any, application: Application, mariadb: MariaDB, watch: Watch, slack: StandInSlack
) -> None:
    application.build(generate(broken_plan("guide", AS_OF)))
    watch(application)
    runs.check(AS_OF)
    told = len(slack.messages())
    alerts = rows(application, mariadb, "SELECT * FROM alerts")
    runs.check(AS_OF - timedelta(days=1))
    assert len(samples(application, mariadb, AS_OF - timedelta(days=1))) > 13
    assert len(slack.messages()) == told
    assert rows(application, mariadb, "SELECT * FROM alerts") == alerts


def test_a_dry_run_keeps_nothing_and_tells_nobody(
    runs: Any, application: Application, mariadb: MariaDB, watch: Watch, slack: StandInSlack
) -> None:
    application.build(generate(broken_plan("guide", AS_OF)))
    watch(application)
    run = runs.check(AS_OF, dry_run=True)
    assert run["verdict"] == "failed"
    for table in ("checks", "samples", "alerts", "notifications", "sightings"):
        assert rows(application, mariadb, f"SELECT * FROM {table}") == []
    assert slack.messages() == []


@pytest.mark.parametrize(
    ("as_of", "sentence"),
    [
        ("yesterday", "as_of = 'yesterday' is not a time"),
        ("2999-01-01T00:00:00Z", "lies in the future"),
        ("2026-03-29T02:30", "does not exist in Europe/Berlin"),
    ],
)
@pytest.mark.usefixtures("healthy")
def test_an_as_of_that_cannot_be_used_is_refused(
    as_of: str,
    sentence: str,
    runs: Any,
    application: Application,
    mariadb: MariaDB,
    capfd: pytest.CaptureFixture[str],
) -> None:
    run = runs.check(as_of)
    assert run["run"] == "failed"
    assert run["collect_database"] == "failed"
    out = "".join(capfd.readouterr())
    assert sentence in out


def test_nothing_of_a_customer_and_no_secret_leaves(
    runs: Any,
    application: Application,
    mariadb: MariaDB,
    watch: Watch,
    slack: StandInSlack,
    capfd: pytest.CaptureFixture[str],
) -> None:
    account = generate(broken_plan("guide", AS_OF))
    application.build(account)
    watch(application)
    runs.check(AS_OF - HOUR)
    runs.check(AS_OF)
    told = "".join(capfd.readouterr()) + json.dumps(slack.messages())
    for table in ("checks", "samples", "alerts", "notifications", "sightings"):
        told += str(rows(application, mariadb, f"SELECT * FROM {table}"))
    personal = [v for c in account.customers for v in (c.name, c.email, c.phone)]
    secrets = [*PASSWORDS.values(), json.loads(slack.connection())["password"], "laravel's own password"]
    assert len(personal) > 100
    assert [text for text in (*personal, *secrets) if text in told] == []
