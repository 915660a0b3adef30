# SPDX-License-Identifier: MIT
"""A diagnosis of a real application that is not well: its answers are those of an independent count, and name no person."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from demo.account import Account
from demo.application import PASSWORDS, Application
from demo.calcom import KEY, StandInCalcom
from demo.services import MariaDB, Redis
from demo.traffic import Plan, Trouble, generate
from processing_time.incident.action import Hands, Refused, Request
from processing_time.incident.calcom import Calcom
from processing_time.incident.diagnosis import Diagnose
from processing_time.messages.blocks import MAX_ALL, render
from processing_time.messages.incident import diagnosis
from processing_time.settings import load
from processing_time.store import Store

AS_OF = datetime(2026, 6, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Laravel:
    """What the application would say of itself."""

    registered = True
    master = True

    def observer_registered(self) -> bool:
        return self.registered

    def features(self) -> dict[str, Any]:
        return {"processing_time_enabled": self.master, "processing_time_service_whitelist": []}


class Diagnosed:
    """A diagnosis by question."""

    def __init__(self, plan: Any) -> None:
        self.plan = plan
        self.findings = {f["question"]: f for f in plan.detail["findings"]}

    def __getitem__(self, question: str) -> dict[str, Any]:
        return next(f for name, f in self.findings.items() if name.startswith(question))

    @property
    def text(self) -> str:
        return json.dumps(self.plan.to_json(), ensure_ascii=False)


@pytest.fixture(params=["guide", "deployed"])
def account(request: Any, application: Application, watch: Callable[[Application], None]) -> Account:
    """An application whose observer fails for a company, and whose sync fails now and then."""
    made = generate(
        Plan(
            AS_OF,
            world=request.param,
            days=9,
            phase_failures=(Trouble(AS_OF - 5 * HOUR, AS_OF, 0.9, company_id=2),),
            sync_failures=(Trouble(AS_OF - 48 * HOUR, AS_OF, 0.1),),
        )
    )
    application.build(made)
    watch(application)
    return made


@pytest.fixture
def calcom() -> Iterator[StandInCalcom]:
    with StandInCalcom() as server:
        yield server


@pytest.fixture
def hands(
    application: Application, mariadb: MariaDB, redis_server: Redis, calcom: StandInCalcom, account: Account
) -> Iterator[Hands]:
    """Everything that an action may reach, as least privilege gives it."""
    import MySQLdb

    connect = partial(
        MySQLdb.connect,
        host="127.0.0.1",
        port=mariadb.port,
        user="pt_monitor",
        password=PASSWORDS["pt_monitor"],
        database=application.schema,
        charset="utf8mb4",
        # A MySQL may be set to tell its plans as a text, MySQL 9 is; MariaDB leaves this out.
        init_command="SET @set = 1 /*!80032 , SESSION explain_format = 'TREE' */",
    )

    def nobody() -> Any:
        raise Refused("the connection processing_time_mysql_write is not set up: add it")

    laravel = Laravel()
    with (
        Store(lambda: mariadb.root(application.store)) as store,
        contextlib.closing(redis_server.client(1)) as client,
    ):
        yield Hands(
            load(),
            connect,
            nobody,
            lambda: client,
            lambda: laravel,
            lambda: Calcom(calcom.address, KEY),
            store,
        )


def ask(hands: Hands, **more: Any) -> Diagnosed:
    return Diagnosed(Diagnose().plan(Request("diagnose", dry_run=True, as_of=AS_OF, **more), hands))


def test_the_answers_are_those_of_an_independent_count(hands: Hands, account: Account) -> None:
    found = ask(hands)
    orphans, both_days = account.orphans(AS_OF)
    made, eligible = account.phase_creation(AS_OF)
    assert len(orphans) > 5
    asked = found["Appointments without phases"]
    assert (
        asked["answer"] == f"{len(orphans)} of {both_days}; today {100 * made / eligible:.2f} % have phases"
    )
    assert sorted(map(int, asked["items"][0].partition(" and ")[0].split(", "))) == sorted(orphans)[-50:]
    split = [s for s in account.services if s.has_processing_time and not s.withdrawn]
    assert found["Services with processing time"]["answer"].startswith(f"{len(split)} of ")
    assert set(found["Services with processing time"]["items"]) == {
        f"service {s.id} (company {s.company_id}): {s.initial} + {s.processing} + {s.final} min"
        for s in split
    }
    newest = sorted((a.id for a in account.appointments if a.phases), reverse=True)[:10]
    assert [int(line.split()[1]) for line in found["Newest appointments"]["items"]] == newest
    stale, with_phases = account.stale(AS_OF)
    assert found["Phases of services without"]["answer"] == f"{stale} of {with_phases} appointments"
    states, total = account.synced(AS_OF)
    assert (
        found["Cal.com sync by state"]["answer"]
        == f"{100 * states['synced'] / total:.2f} % of {total} synced"
    )
    assert dict(line.split(": ") for line in found["Cal.com sync by state"]["items"]) == {
        str(state): str(count) for state, count in states.items() if count
    }
    failures = account.happened("phases_failed", AS_OF - 24 * HOUR, AS_OF)
    assert found["Errors of AppointmentPhase"]["answer"] == f"{len(failures)} in 1 group"
    assert (
        "SQLSTATE HY000, error 1205, app/Services/AppointmentPhaseCreationService.php:87"
        in (found["Errors of AppointmentPhase"]["items"][0])
    )


def test_errors_of_the_sync_are_told_by_code_the_newest_five_by_id(hands: Hands, account: Account) -> None:
    found = ask(hands)["Cal.com errors"]
    states, _ = account.synced(AS_OF)
    failed = states["error"] + states["failed"]
    assert found["answer"] == f"0 throttled (429), {failed} others"
    code = "503" if account.world == "guide" else "CALCOM_503"
    assert found["items"][0] == f"{code}: {failed}"
    assert Counter(line.split(": ")[1] for line in found["items"][1:]) == {code: 5}


def test_throttling_is_counted_apart(hands: Hands, account: Account, application: Application) -> None:
    newest = [line.split(",")[0].split()[1] for line in ask(hands)["Cal.com errors"]["items"][1:4]]
    column = "sync_error" if account.world == "guide" else "sync_error_code"
    value = "Cal.com API answered 429 Too Many Requests" if account.world == "guide" else "RATE_LIMITED"
    with contextlib.closing(application.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"UPDATE appointments SET {column} = %s WHERE id IN %s", (value, newest))
        connection.commit()
    found = ask(hands)
    assert found["Cal.com errors"]["answer"].startswith("3 throttled (429), ")
    assert any("throttles (429)" in cause for cause in found["Recognised: Cal.com sync"]["items"])


def test_the_troubles_come_first_with_the_action_that_helps(hands: Hands) -> None:
    found = ask(hands)
    assert list(found.findings)[:2] == ["Recognised: Phases not created", "Recognised: Cal.com sync failures"]
    assert "create_missing_phases" in found["Recognised: Phases"]["then"]
    assert "retry_failed_syncs" in found["Recognised: Cal.com"]["then"]
    assert all(f["then"] for f in found.findings.values())


def test_nobody_is_named_and_the_message_fits_slack(hands: Hands, account: Account) -> None:
    found = ask(hands, service_id=account.services[0].id)
    payload = render(diagnosis(found.plan.detail["findings"], Request("diagnose", True, AS_OF), ""), load())
    for text in (found.text, json.dumps(payload, ensure_ascii=False)):
        for customer in account.customers:
            for known in (customer.name, customer.email, customer.phone):
                assert known not in text
    assert len(payload["blocks"]) <= 50
    assert sum(len(block.get("text", {}).get("text", "")) for block in payload["blocks"]) <= MAX_ALL


def test_nothing_is_changed(hands: Hands, application: Application, redis_server: Redis) -> None:
    before = fingerprint(application, redis_server)
    ask(hands)
    assert fingerprint(application, redis_server) == before


def fingerprint(application: Application, redis_server: Redis) -> str:
    digest = hashlib.sha256()
    with contextlib.closing(application.connect()) as connection, connection.cursor() as cursor:
        for table in ("services", "appointments", "appointment_phases"):
            cursor.execute(f"CHECKSUM TABLE {table}")
            digest.update(repr(cursor.fetchall()).encode())
    with contextlib.closing(redis_server.client(1)) as client:
        digest.update(repr(sorted(client.scan_iter("*"))).encode())
    digest.update(application.env_file.read_bytes())
    return digest.hexdigest()


# --- one question each --------------------------------------------------------------------------------------


def test_a_service_has_processing_time_and_why(hands: Hands, account: Account) -> None:
    split = next(s for s in account.services if s.has_processing_time and not s.withdrawn)
    plain = next(s for s in account.services if not s.has_processing_time)
    assert (
        "and the flags let it through (master toggle ENABLED"
        in ask(hands, service_id=split.id)[f"Service {split.id}"]["answer"]
    )
    assert ask(hands, service_id=plain.id)[f"Service {plain.id}"]["answer"].startswith(
        "has no processing time"
    )
    assert ask(hands, service_id="99999")["Service 99999"]["answer"] == "does not exist"


def test_a_key_is_shown_if_it_is_one_of_availability(
    hands: Hands, account: Account, redis_server: Redis
) -> None:
    suffix = ":pt_1" if account.world == "guide" else ""
    prefix = "booking_database_booking_cache_:"
    with contextlib.closing(redis_server.client(1)) as client:
        client.set(f"{prefix}week_availability:7:8:2026-06-08{suffix}", "a:1:{s:5:x}", ex=40)
        client.set(f"{prefix}session:7", "secret")
    key = f"week_availability:7:8:2026-06-08{suffix}"
    for asked in (key, prefix + key):
        found = ask(hands, cache_key=asked)[f"The key {asked}"]
        assert found["items"] == ["a:1:{s:5:x}"]
        assert "11 bytes" in found["answer"]
    other = ask(hands, cache_key=f"{prefix}session:7")
    assert "does not match application.cache_key_pattern" in other["The key "]["answer"]
    assert "secret" not in other.text
    gone = f"week_availability:7:9:2026-06-08{suffix}"
    assert ask(hands, cache_key=gone)["The key "]["answer"].startswith("does not exist")


def test_keys_that_never_expire_are_a_trouble(hands: Hands, account: Account, redis_server: Redis) -> None:
    suffix = ":pt_1" if account.world == "guide" else ""
    with contextlib.closing(redis_server.client(1)) as client:
        client.set(f"x_week_availability:7:8:2026-06-08{suffix}", "a")
    found = ask(hands)
    assert found["Availability keys"]["answer"].endswith(", 1 without a TTL")
    assert "clear_availability_cache" in found["Recognised: High cache miss rate"]["then"]


@pytest.mark.parametrize(
    ("status", "answer", "then"),
    [
        (200, "answers (200)", "check the credentials"),
        (401, "refuses the key (401)", "correct the API key"),
        (429, "throttles (429)", "retry in portions"),
        (503, "is not well (503)", "status page"),
    ],
)
def test_calcoms_health(hands: Hands, calcom: StandInCalcom, status: int, answer: str, then: str) -> None:
    calcom.status = status
    found = Diagnosed(Diagnose().plan(Request("diagnose", True, AS_OF), hands)).findings["Cal.com"]
    assert found["answer"].startswith(answer)
    assert found["answer"].endswith(" ms")
    assert then in found["then"]


def test_calcom_is_sent_the_key_and_a_wrong_one_is_told(calcom: StandInCalcom) -> None:
    assert Calcom(calcom.address, KEY).health().status == 200
    assert Calcom(f"{calcom.address}/", "cal_live_wrong").health().status == 401
    assert KEY not in repr(Calcom(calcom.address, KEY))


def test_calcom_that_is_not_there_has_no_status() -> None:
    health = Calcom("http://127.0.0.1:9", KEY).health()
    assert (health.status, health.fault) == (None, "ConnectError")
    assert Calcom("no address", KEY).health().status is None


def test_the_application_is_asked_what_it_really_reads(hands: Hands) -> None:
    laravel: Any = hands.artisan()
    laravel.registered, laravel.master = False, False
    found = ask(hands)
    assert found["Observer"]["answer"] == "NOT registered"
    assert found["config('features.…')"]["answer"] == "differs from .env in processing_time_enabled"
    assert any("observer is not registered" in cause for cause in found["Recognised: Phases"]["items"])


def test_each_metrics_query_is_explained_and_the_missing_index_named(
    hands: Hands, account: Account, application: Application
) -> None:
    found = ask(hands)["Indexes"]
    assert [line.partition(":")[0] for line in found["items"]] == hands.settings.enabled("mysql")
    assert not [line for line in found["items"] if "refused" in line or "does not exist" in line]
    deleted = ", deleted_at" if account.world == "deployed" else ""
    statement = f"CREATE INDEX appointments_monitoring ON appointments (starts_at, staff_id, created_at, service_id{deleted})"
    assert statement in found["then"]
    with contextlib.closing(application.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
    assert "CREATE INDEX" not in ask(hands)["Indexes"]["then"]


# --- what cannot be answered --------------------------------------------------------------------------------


def test_what_is_missing_costs_its_own_questions_only(hands: Hands, application: Application) -> None:
    application.remove_logs()
    application.env_file.unlink()

    def gone() -> Any:
        raise Refused("the connection processing_time_laravel is not set up: add it")

    maimed = Hands(hands.settings, hands.application, hands.write, hands.redis, gone, gone, hands.store)
    found = ask(maimed)
    unknown = {name for name, f in found.findings.items() if f["answer"].startswith("not known: ")}
    assert {"Feature flags", "The application", "Errors in the log", "Cal.com"} <= unknown
    assert "Redis" not in unknown
    assert found["Newest appointments"]["items"]


def test_without_the_database_the_rest_is_still_answered(hands: Hands) -> None:
    import MySQLdb

    def away() -> Any:
        return MySQLdb.connect(host="127.0.0.1", port=9, user="x")

    found = ask(
        Hands(hands.settings, away, hands.write, hands.redis, hands.artisan, hands.calcom, hands.store)
    )
    assert "cannot be reached" in found["Services with processing time"]["answer"]
    assert found["Redis"]["answer"].startswith("answers PING")
    assert found["Errors of AppointmentPhase"]["answer"].endswith("in 1 group")


def test_a_refused_redis_is_a_trouble_of_its_own(hands: Hands) -> None:
    import redis

    client = redis.Redis(port=9)
    found = ask(
        Hands(
            hands.settings,
            hands.application,
            hands.write,
            lambda: client,
            hands.artisan,
            hands.calcom,
            hands.store,
        )
    )
    assert found["Redis"]["answer"] == "does not answer (ConnectionError)"
    assert found["Recognised: High cache miss rate"]["items"] == ["restart Redis"]
