# SPDX-License-Identifier: MIT
"""The application in both worlds, and a check of its database as the monitor makes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from processing_time import settings as settings_module
from processing_time.model import Collected, Sample, SourceUnavailable
from processing_time.settings import Settings
from processing_time.sources import database
from processing_time.sources.feature_flags import FeatureFlags
from processing_time.timeline import Timeline
from tests.sql.application import BERLIN, Application

Build = Callable[..., Application]

METRICS = (
    "phase_creation_success_rate",
    "calcom_sync_success_rate",
    "phase_distribution",
    "overlapping_bookings",
    "orphaned_appointments",
    "stale_phases",
)
"""What these tests measure, unless one adds its own."""


@pytest.fixture
def build(mariadb: Any) -> Build:
    """Make an application of a world: ``build("deployed")``."""
    return lambda world, **options: Application(mariadb, world, **options)


@pytest.fixture(params=["guide", "deployed"])
def app(request: pytest.FixtureRequest, build: Build) -> Application:
    """The application, empty, in each of the two worlds."""
    return build(request.param)


@cache
def _shipped() -> Settings:
    return settings_module.load()


def settings_for(
    app: Application, metrics: Mapping[str, Mapping[str, Any]] | None = None, **changed: Any
) -> Settings:
    """The shipped settings with what the world of the application, or a test, changes in them."""
    shipped = _shipped()
    application = shipped.application.model_copy(
        update={
            "timezone": str(app.zone),
            "sync_status_column": app.sync_column,
            "error_values": (app.error,),
            **changed.pop("application", {}),
        }
    )
    schedule = shipped.schedule.model_copy(update=changed.pop("schedule", {}))
    own = {
        key: shipped.metrics[key].model_copy(update=dict(values)) if key in shipped.metrics else values
        for key, values in (metrics or {}).items()
    }
    return shipped.model_copy(
        update={
            "application": application,
            "schedule": schedule,
            "metrics": {**{key: shipped.metrics[key] for key in METRICS}, **own},
            **changed,
        }
    )


def timeline_for(as_of: datetime, settings: Settings) -> Timeline:
    return Timeline(as_of, BERLIN, ZoneInfo(settings.application.timezone), as_of)


def check(
    app: Application,
    as_of: datetime,
    *,
    flags: FeatureFlags | SourceUnavailable | None = None,
    watermarks: Sequence[database.Watermark] = (),
    settings: Settings | None = None,
    connect: Callable[[], Any] | None = None,
) -> Collected:
    """What the source gives about an application."""
    settings = settings or settings_for(app)
    timeline = timeline_for(as_of, settings)
    return database.collect(connect or app.connect, settings, timeline, flags or FeatureFlags(), watermarks)


def by_key(collected: Collected) -> dict[tuple[str, int], Sample]:
    """The samples by metric and company; each there once."""
    found = {(s.metric, s.company_id): s for s in collected.samples}
    assert len(found) == len(collected.samples)
    return found
