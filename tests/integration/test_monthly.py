# SPDX-License-Identifier: MIT
"""Months in the store: in any order, twice, with what came before and goes after; and what retention may remove."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from processing_time.model import Window
from processing_time.reports import monthly, retention
from processing_time.reports.monthly_rollup import Rollup
from processing_time.reports.weekly_figures import SHARE
from processing_time.settings import Settings, load
from processing_time.sources.feature_flags import FeatureFlags
from processing_time.store_reports import Period, ReportStore, Rolled, Trend
from tests.integration.own_schema import fresh
from tests.sql.application import Application

BERLIN = ZoneInfo("Europe/Berlin")
PRESENT = datetime(2026, 11, 23, 9, tzinfo=UTC)
OVERLAPS, RATE, HITS = "overlapping_bookings", "phase_creation_success_rate", "availability_cache_hit_rate"
YEAR = [Period.MONTHLY.step(date(2025, 7, 1), n) for n in range(13)]


@pytest.fixture
def connect(mariadb: Any) -> Callable[[], Any]:
    return fresh(mariadb)


@pytest.fixture
def store(connect: Callable[[], Any]) -> Iterator[ReportStore]:
    with ReportStore(connect) as opened:
        yield opened


@pytest.fixture
def settings() -> Settings:
    shipped = load()
    deployed = {"sync_status_column": "calcom_sync_status", "error_values": ("failed",)}
    return shipped.model_copy(update={"application": shipped.application.model_copy(update=deployed)})


@pytest.fixture
def app(mariadb: Any) -> Application:
    """Thirteen months, each with more appointments than the one before; company 2 only from the eighth on."""
    app = Application(mariadb, "deployed")
    first, second = app.service(company_id=1), app.service(company_id=2)
    app.service(company_id=1, has_processing_time=False)
    for number, month in enumerate(YEAR):
        for day in range(6 + number):
            at = local(month, day + 1)
            for service in (first, second, app.services[2])[: 2 if number > 6 else 1]:
                outer = app.appointment(
                    service, at, starts_at=at + timedelta(days=1), staff_id=f"staff-{service.id}"
                )
                app.appointment(
                    app.services[2],
                    at,
                    starts_at=outer.starts_at + timedelta(minutes=20),
                    staff_id=outer.staff_id,
                )
    app.insert()
    return app


def local(month: date, day: int, hour: int = 9) -> datetime:
    return datetime(month.year, month.month, day, hour, tzinfo=BERLIN).astimezone(UTC)


def roll(store: ReportStore, app: Application, settings: Settings, month: date, **flags: Any) -> Rollup:
    """Roll a month up as its run on the first of the next one does."""
    as_of = local(Period.MONTHLY.step(month, 1), 1, 7)
    rollup, _ = monthly.measure(store, app.connect, settings, as_of, PRESENT, lambda: FeatureFlags(**flags))
    assert rollup.month == month
    monthly.keep(store, rollup, (), PRESENT)
    return rollup


def everything(store: ReportStore) -> list[Rolled]:
    return store.read(Period.MONTHLY, date(2020, 1, 1), date(2030, 1, 1))


def row(store: ReportStore, month: date, metric: str, company_id: int = 0) -> Rolled:
    (found,) = [r for r in store.read(Period.MONTHLY, month, month) if r.key == (metric, company_id)]
    return found


def run(connect: Callable[[], Any], sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with closing(connect()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(sql, values)
        connection.commit()
        return list(cursor.fetchall())


def sample(
    connect: Callable[[], Any],
    window: Window,
    metric: str,
    numerator: float | None,
    denominator: float | None,
    loss: str | None = None,
) -> None:
    """A check with one sample."""
    value = 100 * numerator / denominator if numerator is not None and denominator else None
    run(
        connect,
        "INSERT INTO samples (as_of, metric, company_id, window_start, window_end, value, numerator, denominator, state,"
        " reason, loss, muted, detail) VALUES (%s, %s, 0, %s, %s, %s, %s, %s, 'ok', '', %s, '', '{}')",
        *(
            t.replace(tzinfo=None) if isinstance(t, datetime) else t
            for t in (window.end, metric, window.start)
        ),
        window.end.replace(tzinfo=None),
        value,
        numerator,
        denominator,
        loss,
    )


class TestAnyOrder:
    def test_months_in_any_order_and_twice_come_out_the_same(
        self, store: ReportStore, connect: Callable[[], Any], app: Application, settings: Settings
    ) -> None:
        for month in YEAR:
            roll(store, app, settings, month)
        in_order = everything(store)
        run(connect, "DELETE FROM monthly")
        shuffled = [*YEAR, *YEAR]
        random.Random(4).shuffle(shuffled)
        for month in shuffled:
            roll(store, app, settings, month)
        assert everything(store) == in_order
        assert len(in_order) > 13 * 10

    def test_each_month_says_what_came_before_it_and_where_it_goes(
        self, store: ReportStore, app: Application, settings: Settings
    ) -> None:
        for month in reversed(YEAR):
            roll(store, app, settings, month)
        found = [row(store, month, OVERLAPS) for month in YEAR]
        assert [r.value for r in found] == [(6 + n) * (2 if n > 6 else 1) for n in range(13)]
        assert [r.previous_value for r in found] == [None, *(r.value for r in found[:-1])]
        assert [r.trend for r in found] == [*[Trend.TOO_FEW] * 4, *[Trend.UP] * 9]
        assert {row(store, month, RATE).trend for month in YEAR[4:]} == {Trend.FLAT}
        of_two = [r for r in everything(store) if r.key == (RATE, 2)]
        assert [r.period_start for r in of_two] == YEAR[7:]
        assert of_two[0].previous_value is None

    def test_a_month_that_changes_changes_what_the_next_one_says(
        self, store: ReportStore, app: Application, settings: Settings
    ) -> None:
        for month in YEAR[:3]:
            roll(store, app, settings, month)
        more = app.appointment(app.services[0], local(YEAR[1], 20), phases=[])
        app.insert()
        assert more.id
        roll(store, app, settings, YEAR[1])
        assert row(store, YEAR[1], RATE).value == pytest.approx(100 * 7 / 8)
        assert row(store, YEAR[2], RATE).previous_value == pytest.approx(100 * 7 / 8)
        assert row(store, YEAR[2], RATE).value == 100

    def test_the_share_of_appointments_that_use_it(
        self, store: ReportStore, app: Application, settings: Settings
    ) -> None:
        roll(store, app, settings, YEAR[8])
        assert (row(store, YEAR[8], SHARE).numerator, row(store, YEAR[8], SHARE).denominator) == (28, 56)
        assert row(store, YEAR[8], SHARE, 2).value == 100
        assert row(store, YEAR[8], SHARE, 1).value == pytest.approx(100 * 14 / 42)


class TestFlags:
    FLAGS = FeatureFlags(configured=True, enabled=True, company_whitelist=frozenset({2}))

    def check(self, connect: Callable[[], Any], as_of: datetime, flags: FeatureFlags) -> None:
        run(
            connect,
            "INSERT INTO checks (as_of, dag_run_id, state, flags, sources, facts) VALUES (%s, 'r', 'ok', %s, '{}', '{}')",
            as_of.replace(tzinfo=None),
            json.dumps(flags.to_json()),
        )

    def test_those_that_its_checks_recorded_decide(
        self, store: ReportStore, connect: Callable[[], Any], app: Application, settings: Settings
    ) -> None:
        assert everything(store) == []
        self.check(connect, local(YEAR[8], 1), self.FLAGS)
        self.check(connect, local(YEAR[9], 3), FeatureFlags())
        rollup = roll(store, app, settings, YEAR[8])
        assert row(store, YEAR[8], RATE).denominator == 14
        assert rollup.flags == self.FLAGS
        assert rollup.doubt == ""

    def test_when_they_changed_it_is_said(
        self, store: ReportStore, connect: Callable[[], Any], app: Application, settings: Settings
    ) -> None:
        assert everything(store) == []
        self.check(connect, local(YEAR[7], 20), FeatureFlags(configured=True))
        self.check(connect, local(YEAR[8], 5), self.FLAGS)
        assert "changed in this window" in roll(store, app, settings, YEAR[8]).doubt

    def test_when_none_were_recorded_those_of_now_count_and_it_is_said(
        self, store: ReportStore, app: Application, settings: Settings
    ) -> None:
        rollup = roll(store, app, settings, YEAR[8], configured=True, enabled=True)
        assert "not recorded" in rollup.doubt


class TestWhatIsGone:
    def test_rows_that_the_application_removed_do_not_empty_the_month(
        self, store: ReportStore, app: Application, settings: Settings
    ) -> None:
        roll(store, app, settings, YEAR[0])
        before = everything(store)
        app.run("DELETE FROM appointments", "DELETE FROM appointment_phases")
        rollup = roll(store, app, settings, YEAR[0])
        assert everything(store) == before
        assert RATE in rollup.kept

    def test_a_month_without_appointments_has_its_noughts(
        self, store: ReportStore, app: Application, settings: Settings
    ) -> None:
        rollup = roll(store, app, settings, date(2024, 2, 1))
        assert rollup.kept == ()
        assert row(store, date(2024, 2, 1), RATE) == Rolled(date(2024, 2, 1), RATE, 0, None, 0, 0, 1)

    def test_samples_that_were_removed_do_not_either(
        self, store: ReportStore, connect: Callable[[], Any], app: Application, settings: Settings
    ) -> None:
        assert everything(store) == []
        for hour in (9, 10, 11):
            at = local(YEAR[0], 3, hour)
            sample(connect, Window(at - timedelta(hours=1), at), HITS, 8, 10)
        roll(store, app, settings, YEAR[0])
        assert (row(store, YEAR[0], HITS).value, row(store, YEAR[0], HITS).samples) == (80, 3)
        run(connect, "DELETE FROM samples WHERE as_of < %s", local(YEAR[0], 3, 11).replace(tzinfo=None))
        rollup = roll(store, app, settings, YEAR[0])
        assert rollup.kept == (HITS,)
        assert row(store, YEAR[0], HITS).samples == 3

    def test_what_was_lost_is_not_counted_and_a_metric_without_any_has_no_row(
        self, store: ReportStore, connect: Callable[[], Any], app: Application, settings: Settings
    ) -> None:
        assert everything(store) == []
        at = local(YEAR[0], 3)
        sample(connect, Window(at - timedelta(hours=1), at), HITS, 8, 10)
        sample(connect, Window(at, at + timedelta(hours=1)), HITS, None, None, loss="lost")
        roll(store, app, settings, YEAR[0])
        assert row(store, YEAR[0], HITS).samples == 1
        assert "phase_creation_time" not in {r.metric for r in everything(store)}

    def test_a_reading_belongs_to_the_month_in_which_it_ends(
        self, store: ReportStore, connect: Callable[[], Any], app: Application, settings: Settings
    ) -> None:
        assert everything(store) == []
        first, last = (local(month, 1, 0) for month in YEAR[:2])
        for end, hits in (
            (first, 1),
            (first + timedelta(hours=1), 2),
            (last, 4),
            (last + timedelta(hours=1), 8),
        ):
            sample(connect, Window(end - timedelta(hours=1), end), HITS, hits, 10)
        roll(store, app, settings, YEAR[0])
        found = row(store, YEAR[0], HITS)
        assert (found.numerator, found.samples) == (2 + 4, 2)


class TestRetention:
    """With 400 days, on 1 December 2026, October 2025 is the newest month of which nothing need be kept."""

    AS_OF = local(date(2026, 12, 1), 1, 7)
    OLD, KEPT = date(2025, 9, 1), date(2025, 10, 1)

    @pytest.fixture
    def full(self, store: ReportStore, connect: Callable[[], Any]) -> Callable[[], Any]:
        """Checks from August to November 2025, one every six hours."""
        assert everything(store) == []
        at = local(date(2025, 8, 1), 1, 6)
        while at < local(date(2025, 12, 1), 1):
            sample(connect, Window(at - timedelta(hours=6), at), HITS, 8, 10)
            at += timedelta(hours=6)
        return connect

    def oldest(self, connect: Callable[[], Any]) -> datetime:
        return run(connect, "SELECT MIN(as_of) FROM samples")[0][0].replace(tzinfo=UTC).astimezone(BERLIN)

    def test_nothing_goes_before_its_month_is_rolled_up(
        self, store: ReportStore, full: Callable[[], Any], settings: Settings
    ) -> None:
        before = run(full, "SELECT COUNT(*) FROM samples")
        removed = retention.remove(store, settings, self.AS_OF)
        assert (removed.samples, run(full, "SELECT COUNT(*) FROM samples")) == (0, before)
        assert removed.held_back.startswith("2025-08 is not rolled up")

    def test_whole_months_go_up_to_the_first_that_is_not_rolled_up(
        self, store: ReportStore, full: Callable[[], Any], app: Application, settings: Settings
    ) -> None:
        roll(store, app, settings, date(2025, 8, 1))
        removed = retention.remove(store, settings, self.AS_OF)
        assert removed.held_back.startswith("2025-09 is not rolled up")
        # What was measured up to the last midnight of August belongs to August.
        assert self.oldest(full) == datetime(2025, 9, 1, 6, tzinfo=BERLIN)
        assert removed.samples == 31 * 4

    def test_what_is_not_old_enough_stays(
        self, store: ReportStore, full: Callable[[], Any], app: Application, settings: Settings
    ) -> None:
        for month in (date(2025, n, 1) for n in (8, 9, 10, 11)):
            roll(store, app, settings, month)
        removed = retention.remove(store, settings, self.AS_OF)
        assert removed.held_back == ""
        assert self.oldest(full) == datetime(2025, 10, 1, 6, tzinfo=BERLIN)
        assert retention.remove(store, settings, self.AS_OF).samples == 0

    def test_a_sample_that_came_after_the_rollup_holds_its_month_back(
        self, store: ReportStore, full: Callable[[], Any], app: Application, settings: Settings
    ) -> None:
        roll(store, app, settings, date(2025, 8, 1))
        at = local(date(2025, 8, 1), 1, 0) + timedelta(minutes=10)
        sample(full, Window(at - timedelta(minutes=10), at), HITS, 1, 1)
        run(full, "DELETE FROM samples WHERE as_of = %s", local(date(2025, 8, 1), 1, 6).replace(tzinfo=None))
        late = local(date(2025, 8, 1), 1, 6)
        sample(full, Window(at, late), HITS, 7, 9)
        assert "after its rollup" in retention.remove(store, settings, self.AS_OF).held_back
        roll(store, app, settings, date(2025, 8, 1))
        assert retention.remove(store, settings, self.AS_OF).samples > 0

    def test_months_whose_samples_went_keep_their_figures_when_rolled_up_again(
        self, store: ReportStore, full: Callable[[], Any], app: Application, settings: Settings
    ) -> None:
        for month in (date(2025, 8, 1), self.OLD):
            roll(store, app, settings, month)
        before = everything(store)
        retention.remove(store, settings, self.AS_OF)
        for month in (self.OLD, date(2025, 8, 1)):
            roll(store, app, settings, month)
        assert everything(store) == before
        assert row(store, self.OLD, HITS).value == 80

    @pytest.mark.parametrize("batch", [1, 7, 124, 125, 5000])
    def test_batches(
        self,
        store: ReportStore,
        full: Callable[[], Any],
        app: Application,
        settings: Settings,
        batch: int,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(retention, "BATCH", batch)
        roll(store, app, settings, date(2025, 8, 1))
        assert retention.remove(store, settings, self.AS_OF).samples == 31 * 4

    def test_settled_things_go_by_their_own_times_and_nothing_that_is_open_or_owed(
        self,
        store: ReportStore,
        connect: Callable[[], Any],
        settings: Settings,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        assert everything(store) == []
        monkeypatch.setattr(retention, "BATCH", 1)
        keep = settings.reports
        second = timedelta(seconds=1)

        def alert(number: int, state: str, resolved: datetime | None) -> None:
            run(
                connect,
                "INSERT INTO alerts (id, rule, company_id, severity, level, state, opened_at, last_seen_at, last_counted_at,"
                " last_told_at, bad_checks, good_checks, critical_checks, resolved_at, subjects, acknowledgers) VALUES"
                " (%s, %s, 0, 'high', 1, %s, '2020-01-01', '2020-01-01', '2020-01-01', '2020-01-01', 1, 0, 0, %s, '[]', '[]')",
                number,
                f"rule-{number}",
                state,
                resolved and resolved.replace(tzinfo=None),
            )

        def message(number: int, alert_id: int | None, delivered: datetime | None) -> None:
            run(
                connect,
                "INSERT INTO notifications (id, alert_id, kind, dedupe_key, route, place, payload, created_at, delivered_at)"
                " VALUES (%s, %s, 'opened', %s, 'high', 'root', '{}', '2020-01-01', %s)",
                number,
                alert_id,
                f"key-{number}",
                delivered and delivered.replace(tzinfo=None),
            )

        def action(number: int, finished: datetime | None) -> None:
            run(
                connect,
                "INSERT INTO actions (id, dag_run_id, action, dry_run, started_at, finished_at, detail)"
                " VALUES (%s, 'r', 'clear_cache', 0, '2020-01-01', %s, '{}')",
                number,
                finished and finished.replace(tzinfo=None),
            )

        alerts, messages, actions = (
            self.AS_OF - age for age in (keep.keep_alerts, keep.keep_notifications, keep.keep_actions)
        )
        alert(1, "resolved", alerts - second)
        alert(2, "resolved", alerts)
        alert(3, "firing", None)
        alert(4, "resolved", alerts - second)
        message(1, 3, messages - second)  # of an open alert
        message(2, 2, messages - second)
        message(3, None, messages - second)
        message(4, None, messages)
        message(5, 4, None)  # still owed, so its alert stays as well
        message(6, 99, messages - second)  # its alert is gone
        action(1, actions - second)
        action(2, actions)
        action(3, None)
        removed = retention.remove(store, settings, self.AS_OF)
        left = {
            t: [r[0] for r in run(connect, f"SELECT id FROM {t} ORDER BY id")]
            for t in ("alerts", "notifications", "actions")
        }
        assert left == {"alerts": [2, 3, 4], "notifications": [1, 4, 5], "actions": [2, 3]}
        assert (removed.alerts, removed.notifications, removed.actions) == (1, 3, 1)
