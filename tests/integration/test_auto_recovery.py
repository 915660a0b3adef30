# SPDX-License-Identifier: MIT
"""Level 1 repairs no more than the settings allow, once for an alert, and says so in its thread."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from demo.application import CACHE_PREFIX, Application
from demo.services import MariaDB, Redis
from demo.slack import StandInSlack
from demo.traffic import Plan, Trouble, generate
from processing_time.incident.action import Hands, Refused
from processing_time.incident.artisan import Ran
from processing_time.incident.auto_recovery import Run, recover
from processing_time.model import Alert, AlertState, Severity
from processing_time.settings import load
from processing_time.store import Store
from processing_time.store_session import fetch
from tests.integration.conftest import PROJECT, Runs
from tests.integration.own_schema import fresh
from tests.integration.test_health_check import rows

NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass
class Queue:
    """The part of artisan that retries jobs, and nothing else; `broken` is raised by a retry."""

    failed: list[str]
    retried: list[str] = field(default_factory=list)
    broken: BaseException | None = None

    def failed_sync_jobs(self) -> tuple[str, ...]:
        return tuple(self.failed)

    def features(self) -> Mapping[str, Any]:
        raise Refused("artisan does not answer")

    def retry(self, ids: Sequence[str]) -> Ran:
        if self.broken:
            raise self.broken
        self.retried += ids
        self.failed = [id_ for id_ in self.failed if id_ not in ids]
        return Ran("queue:retry", 0, "")


class Place:
    """A store, a cache and a queue, with the measures of the settings."""

    def __init__(self, connect: Callable[[], Any], redis: Redis, **measures: int) -> None:
        self.connect, self.redis, self.queue = connect, redis, Queue([str(n) for n in range(100, 110)])
        shipped = load()
        self.settings = shipped.model_copy(
            update={"auto_recovery": shipped.auto_recovery.model_copy(update=measures)}
        )
        self.store = Store(connect)

    def recover(self, *alerts: Alert, at: datetime = NOW, id: str = "") -> dict[str, str]:  # noqa: A002
        hands = Hands(
            settings=self.settings,
            application=self._refused,
            write=self._refused,
            redis=lambda: self.redis.client(1),
            artisan=lambda: self.queue,  # type: ignore[arg-type, return-value]
            calcom=self._refused,
            store=self.store,
        )
        seen = [replace(a, last_seen_at=at) if a.last_seen_at == NOW else a for a in alerts]
        done = recover(seen, hands, Run(id or f"check-{at:%H%M}", at, "", lambda: at))
        return {action: str(result.outcome) for action, result in done}

    def rows(self, sql: str) -> list[dict[str, Any]]:
        with closing(self.connect()) as connection, closing(connection.cursor()) as cursor:
            return fetch(cursor, sql)

    def _refused(self) -> Any:
        raise Refused("it is not set up")


@pytest.fixture
def place(mariadb: Any, redis_server: Redis) -> Iterator[Callable[..., Place]]:
    made: list[Place] = []

    def make(**measures: int) -> Place:
        with closing(redis_server.client(1)) as client:
            client.flushdb()
        made.append(Place(fresh(mariadb), redis_server, **measures))
        return made[-1]

    yield make
    for one in made:
        one.store.close()


def alert(rule: str, id_: int, **more: Any) -> Alert:
    given: dict[str, Any] = {
        "rule": rule,
        "company_id": 0,
        "severity": Severity.HIGH,
        "level": 1,
        "state": AlertState.FIRING,
        "opened_at": NOW,
        "last_seen_at": NOW,
        "last_counted_at": NOW,
        "last_told_at": NOW,
        "id": id_,
    }
    return Alert(**{**given, **more})


def test_nothing_is_repaired_as_shipped(place: Callable[..., Place]) -> None:
    shipped = place()
    assert not shipped.settings.auto_recovery.on
    assert shipped.recover(alert("calcom_sync_failures", 1), alert("cache_miss_spike", 2)) == {}
    assert shipped.queue.retried == []
    assert shipped.rows("SELECT * FROM actions") == []


def test_stuck_keys_go_and_others_stay_with_so_many_an_hour(place: Callable[..., Place]) -> None:
    allowed = place(stuck_cache_keys=20)
    with closing(allowed.redis.client(1)) as client:
        for n in range(30):
            client.set(f"{CACHE_PREFIX}week_availability:1:{n}:2026-06-11:pt_1", "x")
        for n in range(10):
            client.set(f"{CACHE_PREFIX}week_availability:2:{n}:2026-06-11:pt_1", "x", ex=600)
        client.set(f"{CACHE_PREFIX}spatie.permission.cache", "x")

        def left() -> tuple[int, int]:
            keys = list(client.scan_iter("*"))
            return len(keys), sum(client.ttl(key) == -1 for key in keys)

        assert allowed.recover(alert("cache_miss_spike", 1)) == {"clear_availability_cache": "done"}
        assert left() == (21, 11)
        # Another alert within the hour finds the measure used up, and is not counted as treated.
        assert allowed.recover(alert("availability_cache_hit_rate", 2), at=NOW + HOUR / 2) == {}
        assert left() == (21, 11)
        # The same alert is never treated again; the other one is, an hour later.
        assert allowed.recover(alert("cache_miss_spike", 1), at=NOW + 2 * HOUR) == {}
        found = allowed.recover(alert("availability_cache_hit_rate", 2), at=NOW + 3 * HOUR)
        assert found == {"clear_availability_cache": "done"}
        assert left() == (11, 1)
        found = allowed.recover(alert("availability_cache_hit_rate", 3), at=NOW + 5 * HOUR)
        assert found == {"clear_availability_cache": "nothing_to_do"}
    audit = allowed.rows("SELECT requested_by, dry_run, outcome, detail FROM actions ORDER BY id")
    assert {(row["requested_by"], row["dry_run"]) for row in audit} == {("auto_recovery", 0)}
    assert [json.loads(row["detail"])["most"] for row in audit] == [20, 10, 0]
    assert [json.loads(row["detail"])["alerts"] for row in audit] == [[1], [2], [3]]


def test_failed_syncs_are_retried_once_for_all_the_alerts_that_ask(place: Callable[..., Place]) -> None:
    allowed = place(failed_syncs=4)
    asking = (
        alert("calcom_sync_failures", 1),
        alert("calcom_sync_success_rate", 2),
        alert("cache_miss_spike", 3),
    )
    assert allowed.recover(*asking) == {"retry_failed_syncs": "done"}
    assert allowed.queue.retried == ["100", "101", "102", "103"]
    assert allowed.recover(*asking, at=NOW + 2 * HOUR) == {}
    told = allowed.rows("SELECT alert_id, kind, place, payload FROM notifications ORDER BY alert_id")
    assert [(row["alert_id"], row["kind"], row["place"]) for row in told] == [
        (1, "recovery", "thread"),
        (2, "recovery", "thread"),
    ]
    assert "4 failed jobs handed back to the queue" in told[0]["payload"]
    assert "Asked by auto_recovery" in told[0]["payload"]


@pytest.mark.parametrize(
    "more",
    [{"state": AlertState.ACKNOWLEDGED}, {"last_seen_at": NOW - HOUR}],
    ids=["somebody has taken it", "this check did not see it"],
)
def test_what_is_not_firing_now_is_left_alone(place: Callable[..., Place], more: dict[str, Any]) -> None:
    allowed = place(failed_syncs=4)
    assert allowed.recover(alert("calcom_sync_failures", 1, **more)) == {}
    assert allowed.queue.retried == []


def test_what_cannot_be_done_is_told_and_breaks_nothing(place: Callable[..., Place]) -> None:
    allowed = place(failed_syncs=4, missing_phases=4, stuck_cache_keys=4)
    allowed.queue.broken = Refused("artisan does not answer")
    with Redis(allowed.redis.directory.parent / "gone") as gone:
        allowed.redis = gone
    found = allowed.recover(
        alert("calcom_sync_failures", 1), alert("orphaned_appointments", 2), alert("cache_miss_spike", 3)
    )
    assert found == {
        "clear_availability_cache": "refused",
        "retry_failed_syncs": "failed",
        "create_missing_phases": "refused",
    }
    told = " ".join(row["payload"] for row in allowed.rows("SELECT payload FROM notifications"))
    for sentence in ("artisan does not answer", "Redis does not do it"):
        assert sentence in told


def test_what_was_cut_off_is_completed_and_not_begun_again(place: Callable[..., Place]) -> None:
    allowed = place(failed_syncs=4)
    allowed.queue.broken = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        allowed.recover(alert("calcom_sync_failures", 1), id="check")
    (begun,) = allowed.rows("SELECT finished_at, outcome FROM actions")
    assert (begun["finished_at"], begun["outcome"]) == (None, None)
    allowed.queue.broken = None
    # The task is repeated, and the alert of the other asks meanwhile: what was begun counts.
    assert allowed.recover(alert("calcom_sync_failures", 1), id="check") == {}
    assert allowed.queue.retried == []
    (row,) = allowed.rows("SELECT outcome, detail FROM actions")
    assert row["outcome"] == "failed"
    (told,) = allowed.rows("SELECT alert_id, payload FROM notifications")
    assert told["alert_id"] == 1
    assert "cut off" in told["payload"]
    assert allowed.recover(alert("calcom_sync_success_rate", 2), at=NOW + HOUR / 2) == {}


def test_somebody_who_does_it_by_hand_is_not_disturbed(place: Callable[..., Place]) -> None:
    allowed = place(failed_syncs=4)
    with Store(allowed.connect) as other, other.actions.alone("act.retry_failed_syncs"):
        assert allowed.recover(alert("calcom_sync_failures", 1)) == {}
    assert allowed.recover(alert("calcom_sync_failures", 1)) == {"retry_failed_syncs": "done"}


@pytest.fixture
def recovering(airflow_db: None, monkeypatch: pytest.MonkeyPatch) -> Runs:
    """Checks of an installation that may retry five syncs an hour."""
    from airflow.dag_processing.dagbag import DagBag

    monkeypatch.setenv("PROCESSING_TIME__AUTO_RECOVERY__FAILED_SYNCS", "5")
    return Runs(DagBag(PROJECT / "dags").dags["processing_time_health_check"])


def test_through_a_whole_check(
    runs: Any,
    recovering: Runs,
    application: Application,
    mariadb: MariaDB,
    watch: Callable[[Application], None],
    slack: StandInSlack,
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    trouble = Trouble(now - timedelta(days=2), now, 0.3)
    application.build(generate(Plan(now, days=3, sync_failures=(trouble,), requests_a_day=60)))
    watch(application)
    run = runs.check(now - timedelta(minutes=2))
    assert run["verdict"] == "failed"
    assert "recover" not in run
    assert recovering.check(now - timedelta(minutes=1), dry_run=True)["recover"] == "skipped"
    assert recovering.check(now - 2 * HOUR)["recover"] == "skipped"
    assert rows(application, mariadb, "SELECT * FROM actions") == []
    # There is no Laravel connection: that is told in the thread, and the task is well.
    assert recovering.check(now)["recover"] == "success"
    (row,) = rows(application, mariadb, "SELECT requested_by, action, outcome FROM actions")
    assert row == {"requested_by": "auto_recovery", "action": "retry_failed_syncs", "outcome": "refused"}
    told = [m for m in slack.messages() if "retry_failed_syncs" in m["text"]]
    assert told
    assert all("processing_time_laravel" in m["text"] and m["thread_ts"] for m in told)
    assert recovering.check(now)["recover"] == "skipped", "once for an alert"
