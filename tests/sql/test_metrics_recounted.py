# SPDX-License-Identifier: MIT
"""Every metric over random rows, in both worlds, against a second count without SQL."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from processing_time.model import ALL_COMPANIES
from processing_time.sources.database import Watermark
from processing_time.sources.feature_flags import FeatureFlags
from tests.sql.application import Application, Phase, berlin, phases_of
from tests.sql.conftest import METRICS, Build, by_key, check
from tests.sql.reference import figures

SUMMER_TIME_BEGINS = berlin("2026-03-29 12:00")
WINTER_TIME_BEGINS = berlin("2026-10-25 20:00")
WEEK_WITH_A_CHANGE = berlin("2026-04-02 08:00")
ORDINARY = berlin("2026-07-15 14:00")


def populate(app: Application, as_of: datetime, seed: int) -> None:
    """Rows of every kind: around each bound of each window, deleted, without service, staff or state, composite."""
    chance = random.Random(seed)
    durations = [(15, 30, 15), (15, 30, 0), (None, 20, 10), (10, 45, 10)]
    for number in range(12):
        app.service(
            company_id=chance.choice([1, 2, 3, 7, None]),
            has_processing_time=chance.random() < 0.7,
            durations=chance.choice(durations),
            deleted=app.world == "deployed" and number in (4, 9),
        )
    midnights = [
        datetime.fromisoformat(f"{as_of.astimezone(ZoneInfo('Europe/Berlin')).date() - timedelta(days=d)}")
        .replace(tzinfo=ZoneInfo("Europe/Berlin"))
        .astimezone(UTC)
        for d in (0, 1, 7)
    ]
    edges = [*midnights, as_of, as_of - timedelta(seconds=60)]
    edges += [as_of - timedelta(hours=hours) for hours in (1, 2, 6, 24, 72)]
    moments = [edge + timedelta(seconds=s) for edge in edges for s in (-3600, -1, 0, 1)]
    moments += [as_of - timedelta(seconds=chance.randrange(10 * 86_400)) for _ in range(260)]
    moments += [as_of + timedelta(seconds=chance.randrange(3600)) for _ in range(10)]
    states = ["synced"] * 8 + [app.error, "pending", None]
    for created_at in sorted(moments):
        service = chance.choice([*app.services, app.services[0]])
        # Few members of staff in few hours, so that bookings meet.
        starts_at = as_of.replace(hour=9, minute=0) + timedelta(
            days=chance.randrange(-1, 3), minutes=5 * chance.randrange(60)
        )
        made = app.appointment(
            service if chance.random() < 0.97 else None,
            created_at if chance.random() < 0.99 else None,
            starts_at=starts_at,
            staff_id=chance.choice(["anna", "ben", "cleo", None]),
            sync=chance.choice(states),
            deleted=app.world == "deployed" and chance.random() < 0.05,
            phases=[],
        )
        has = made.service is not None and (made.service.has_processing_time or chance.random() < 0.2)
        if has and chance.random() < 0.8:
            made.phases = phases_of(made.service, starts_at)
            if chance.random() < 0.1:
                made.phases.pop()
        if app.world == "deployed" and chance.random() < 0.1:
            end = starts_at + timedelta(minutes=20)
            made.phases.append(Phase("processing", starts_at, end, chance.random() < 0.5, segment_key="A"))
    app.insert()


def flag_variants(app: Application) -> list[FeatureFlags]:
    some = frozenset(str(s.id) for s in app.services[:5])
    return [
        FeatureFlags(),
        FeatureFlags(configured=True, enabled=True),
        FeatureFlags(configured=True, enabled=True, company_whitelist=frozenset({2, 7})),
        FeatureFlags(configured=True, enabled=False, service_whitelist=some),
        FeatureFlags(configured=True, enabled=False),
    ]


@pytest.mark.parametrize(
    "as_of", [SUMMER_TIME_BEGINS, WINTER_TIME_BEGINS, WEEK_WITH_A_CHANGE, ORDINARY], ids=str
)
def test_all_figures(app: Application, as_of: datetime) -> None:
    populate(app, as_of, seed=as_of.day)
    for flags in flag_variants(app):
        compare(app, as_of, flags)


def test_all_figures_in_an_application_that_writes_local_times(build: Build) -> None:
    app = build("deployed", timezone=ZoneInfo("America/New_York"))
    populate(app, ORDINARY, seed=5)
    compare(app, ORDINARY, FeatureFlags())


@pytest.mark.parametrize("hours", [7 * 24 + 15, 30 * 24, 1], ids="watermark {} h before".format)
def test_all_figures_with_watermarks(app: Application, hours: int) -> None:
    populate(app, ORDINARY, seed=11)
    marks = []
    for age in range(hours, 0, -1):
        at = ORDINARY - timedelta(hours=age)
        ids = [a.id for a in app.appointments if a.created_at and a.created_at < at]
        marks.append(Watermark(at, max(ids, default=0), 0))
    compare(app, ORDINARY, FeatureFlags(), marks)


def compare(
    app: Application, as_of: datetime, flags: FeatureFlags, marks: list[Watermark] | None = None
) -> None:
    found = by_key(check(app, as_of, flags=flags, watermarks=marks or []))
    assert not [s for s in found.values() if s.loss]
    expected = figures(app, as_of, flags)
    seen = {key: (s.numerator, s.denominator) for key, s in found.items()}
    assert seen == {key: (f.numerator, f.denominator) for key, f in expected.items()}
    for key, figure in expected.items():
        assert found[key].value == (figure.value if figure.value is None else pytest.approx(figure.value)), (
            key
        )
    assert {key for key, company in found if company == ALL_COMPANIES} == set(METRICS)
