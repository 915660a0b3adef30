# SPDX-License-Identifier: MIT
"""Error budgets: what each window holds, by hand and against a second count without SQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from processing_time.model import Sample
from processing_time.settings import Budget as BudgetSettings
from processing_time.sources import queries
from processing_time.sources.database import Watermark
from processing_time.sources.feature_flags import FeatureFlags
from tests.sql.application import Application, berlin
from tests.sql.conftest import Build, by_key, check, settings_for
from tests.sql.recording import Recording
from tests.sql.reference import Budget, budgets
from tests.sql.test_bounds import A_DAY, LARGE, SMALL, fill, marks_of
from tests.sql.test_metrics_recounted import flag_variants, populate

AS_OF = berlin("2026-07-15 14:00")
AUTUMN = berlin("2026-10-25 20:00")
PHASES, SYNC = "phase_creation_burn_rate", "calcom_sync_burn_rate"
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


def measured(app: Application, as_of: Any = AS_OF, **options: Any) -> dict[tuple[str, int], Sample]:
    """The samples of the two budgets."""
    application = options.pop("application", {})
    settings = settings_for(
        app, {PHASES: {}, SYNC: {}, **options.pop("metrics", {})}, application=application
    )
    found = by_key(check(app, as_of, settings=settings, **options))
    return {key: sample for key, sample in found.items() if key[0] in (PHASES, SYNC)}


def counts(sample: Sample) -> Budget:
    windows = [sample.detail["windows"][name] for name in ("3 d", "24 h", "6 h", "2 h")]
    return Budget(tuple(w["failing"] for w in windows), tuple(w["total"] for w in windows))


@pytest.mark.parametrize("as_of", [AS_OF, AUTUMN], ids=["ordinary", "clocks changed"])
def test_random_rows_counted_again(app: Application, as_of: Any) -> None:
    populate(app, as_of, seed=as_of.day)
    marks = [Watermark(as_of - timedelta(hours=80), 3, 0)]
    for flags in flag_variants(app):
        for watermarks in ([], marks):
            found = measured(app, as_of, flags=flags, watermarks=watermarks)
            assert {key: counts(s) for key, s in found.items()} == budgets(app, as_of, flags)


@pytest.mark.parametrize("column", ["held", "outcome", "windows", "failing"])
def test_columns_of_the_application_s_own_change_nothing(build: Build, column: str) -> None:
    """A server groups by a column of the table before it groups by what the query calls so."""
    app = build("deployed")
    populate(app, AS_OF, seed=AS_OF.day)
    app.run(f"ALTER TABLE appointments ADD {column} INT", f"UPDATE appointments SET {column} = id MOD 2")
    assert {key: counts(s) for key, s in measured(app).items()} == budgets(app, AS_OF, FeatureFlags())


def test_in_an_application_that_writes_local_times(build: Build) -> None:
    app = build("deployed", timezone=ZoneInfo("America/New_York"))
    populate(app, AS_OF, seed=5)
    found = measured(app)
    assert {key: counts(s) for key, s in found.items()} == budgets(app, AS_OF, FeatureFlags())


def test_each_window_is_half_open_and_holds_the_shorter_ones(app: Application) -> None:
    service = app.service()
    for hours in (72, 24, 6, 2):
        app.appointment(service, AS_OF - hours * HOUR - SECOND, phases=[], sync=app.error)
        app.appointment(service, AS_OF - hours * HOUR, phases=[], sync=app.error)
    app.appointment(service, AS_OF)
    app.insert()
    for sample in measured(app).values():
        assert counts(sample) == Budget((7, 5, 3, 1), (7, 5, 3, 1))
        assert (sample.window.start, sample.window.end) == (AS_OF - 72 * HOUR, AS_OF)
        assert sample.detail["boundary"] == "plain range"


def test_value_and_counts_are_those_of_the_long_window_that_decides(app: Application) -> None:
    one, two = app.service(company_id=1), app.service(company_id=2)
    for number in range(100):
        app.appointment(one, AS_OF - HOUR, phases=[] if number < 8 else "all")
    for _ in range(100):
        app.appointment(two, AS_OF - 30 * HOUR)
    app.service(company_id=3)
    app.insert()
    found = measured(app)
    everyone = found[PHASES, 0]
    assert (everyone.value, everyone.numerator, everyone.denominator) == (8, 8, 100)
    assert everyone.detail["windows"]["3 d"] == {"failing": 8, "total": 200, "burn_rate": 4}
    assert everyone.detail["fires"] == "24 h and 2 h"
    assert found[PHASES, 2].value == 0
    assert found[PHASES, 2].denominator == 100
    assert ("phase_creation_burn_rate", 3) not in found


def test_appointments_of_the_last_minute_may_still_get_their_phases(app: Application) -> None:
    service = app.service()
    for seconds in (61, 60):
        app.appointment(service, AS_OF - seconds * SECOND, phases=[])
    app.insert()
    assert counts(measured(app)[PHASES, 0]) == Budget((1,) * 4, (1,) * 4)


def test_what_is_under_way_is_neither_good_nor_bad_until_the_limit(app: Application) -> None:
    service = app.service()
    for sync in ("pending", None):
        app.appointment(service, AS_OF - HOUR - SECOND, sync=sync)  # too late: failed
        app.appointment(service, AS_OF - HOUR, sync=sync)
        app.appointment(service, AS_OF - SECOND, sync=sync)
    app.appointment(service, AS_OF - SECOND, sync=app.error)  # an error has failed at once
    app.appointment(service, AS_OF - SECOND)
    app.insert()
    assert counts(measured(app)[SYNC, 0]) == Budget((3,) * 4, (4,) * 4)
    patient = measured(app, application={"pending_limit": 2 * HOUR})
    assert counts(patient[SYNC, 0]) == Budget((1,) * 4, (2,) * 4)


def test_a_company_whose_syncs_are_all_under_way_has_no_row(app: Application) -> None:
    app.appointment(app.service(company_id=4), AS_OF - SECOND, sync="pending")
    app.insert()
    found = measured(app)
    assert (SYNC, 4) not in found
    assert (PHASES, 4) not in found
    sample = found[SYNC, 0]
    assert (sample.value, sample.numerator, sample.denominator, sample.loss) == (None, 0, 0, None)


def test_other_windows_as_configured(app: Application) -> None:
    service = app.service()
    for minutes in (20, 40, 100):
        app.appointment(service, AS_OF - timedelta(minutes=minutes), phases=[])
    app.insert()
    budget = BudgetSettings.model_validate(
        {"objective": 99.9, "windows": [{"long": "90m", "short": "30m", "factor": 10}]}
    )
    sample = measured(app, metrics={PHASES: {"budget": budget}})[PHASES, 0]
    assert {name: w["total"] for name, w in sample.detail["windows"].items()} == {"90 min": 2, "30 min": 1}
    assert sample.value == 1000
    assert sample.window.start == AS_OF - timedelta(minutes=90)


@pytest.mark.parametrize(
    ("change", "lost", "sentence"),
    [
        ("RENAME TABLE appointment_phases TO phases", {PHASES}, "no table appointment_phases"),
        ("ALTER TABLE appointments DROP COLUMN created_at", {PHASES, SYNC}, "no column created_at"),
        (
            "ALTER TABLE appointments RENAME COLUMN sync_status TO state",
            {SYNC},
            "set application.sync_status_column",
        ),
    ],
)
def test_what_is_missing_costs_what_needs_it(
    build: Build, change: str, lost: set[str], sentence: str
) -> None:
    app = build("guide")
    app.appointment(app.service(), AS_OF - HOUR)
    app.insert()
    app.run(change)
    found = measured(app)
    assert {key for (key, _), sample in found.items() if sample.loss} == lost
    assert all(sentence in found[key, 0].reason for key in lost)


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ("2 AS numerator, 3 AS denominator", "gives no column held"),
        ("4 AS numerator, 3 AS denominator, 1 AS held", "counts 4 of 3"),
        ("2 AS numerator, NULL AS denominator, 1 AS held", "counts 2 of 0"),
    ],
)
def test_a_faulty_file_costs_itself(
    columns: str, sentence: str, app: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: Callable[[str], queries.Query] = queries.read
    monkeypatch.setattr(
        queries,
        "read",
        lambda path: (
            queries.Query(path, f"SELECT 1 AS company_id, {columns}") if PHASES in path else read(path)
        ),
    )
    found = measured(app)
    assert sentence in found[PHASES, 0].reason
    assert not found[SYNC, 0].loss


@pytest.mark.parametrize("days", [SMALL, LARGE])
def test_what_is_read_is_the_longest_window_once_a_budget(app: Application, days: int) -> None:
    fill(app, days)
    read = []
    for metrics in ({PHASES: {}, SYNC: {}}, {PHASES: {"enabled": False}, SYNC: {"enabled": False}}):
        recording = Recording(app.connect())
        settings = settings_for(app, metrics)
        check(app, AS_OF, watermarks=marks_of(app), settings=settings, connect=lambda r=recording: r)
        read.append(recording.rows_read)
    # Less than four days from the boundary on, twice; in one half of them phases are looked up, and groups are summed.
    assert 2 * 3 * A_DAY < read[0] - read[1] < 2 * 2 * 4 * A_DAY
