# SPDX-License-Identifier: MIT
"""Which appointments ``create_missing_phases`` is about: rows in, ids out, in both worlds, and as the metric counts them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from processing_time.incident.action import Hands, Refused, Request
from processing_time.incident.missing_phases import CreateMissingPhases
from processing_time.sources import feature_flags
from tests.sql.application import Application
from tests.sql.conftest import Build, by_key, check, settings_for

# In Berlin it is the 29th; yesterday there begins at 23:00 UTC of the 27th, in winter time.
AS_OF = datetime(2026, 3, 29, 12, tzinfo=UTC)
WINDOW_START = datetime(2026, 3, 27, 23, tzinfo=UTC)
GRACE = timedelta(seconds=60)


class Answering:
    """An artisan that answers and is not asked for more."""

    def features(self) -> dict[str, Any]:
        return {}


def plan_of(app: Application, env_file: Path | None = None, most: int = 500, **given: Any) -> Any:
    settings = settings_for(app, application={"env_file": env_file})
    incident = settings.incident.model_copy(update={"max_appointments": most})
    settings = settings.model_copy(update={"incident": incident})
    nothing: Any = None
    hands = Hands(settings, app.connect, nothing, nothing, Answering, nothing, nothing)  # type: ignore[arg-type]
    request = Request("create_missing_phases", dry_run=True, as_of=AS_OF, **given)
    return CreateMissingPhases().plan(request, hands)


def ids_of(app: Application, env_file: Path | None = None, **given: Any) -> list[str]:
    found: list[str] = plan_of(app, env_file, **given).detail["appointments"]
    return found


def test_the_window_is_that_of_the_metric(app: Application) -> None:
    service = app.service()
    for created in (
        WINDOW_START - timedelta(seconds=1),
        WINDOW_START,
        AS_OF - GRACE - timedelta(seconds=1),
        AS_OF - GRACE,
        AS_OF,
    ):
        app.appointment(service, created, phases=())
    app.insert()
    assert ids_of(app) == ["3", "2"]
    metric = by_key(check(app, AS_OF))["orphaned_appointments", 0]
    assert [str(id_) for id_ in metric.detail["ids"]] == ["3", "2"]


def test_only_those_that_lack_phases_and_are_eligible(app: Application, tmp_path: Path) -> None:
    cut, other, plain = app.service(), app.service(company_id=2), app.service(has_processing_time=False)
    gone = app.service(deleted=app.world == "deployed")
    created = AS_OF - timedelta(hours=1)
    lacking = app.appointment(cut, created, phases=())
    app.appointment(cut, created)
    foreign = app.appointment(other, created, phases=())
    app.appointment(plain, created, phases=())
    if app.world == "deployed":
        app.appointment(cut, created, phases=(), deleted=True)
        app.appointment(gone, created, phases=())
    app.insert()
    everybody = [str(a.id) for a in (foreign, lacking)]
    named = tuple(str(a.id) for a in app.appointments)
    assert ids_of(app) == ids_of(app, appointment_ids=named) == everybody

    env_file = tmp_path / "env"
    env_file.write_text(f"{feature_flags.PREFIX}ENABLED=true\n{feature_flags.PREFIX}COMPANY_WHITELIST=2\n")
    assert ids_of(app, env_file) == ids_of(app, env_file, appointment_ids=named) == [str(foreign.id)]
    assert ids_of(app, company_id=1) == ids_of(app, service_id=str(cut.id)) == [str(lacking.id)]
    assert ids_of(app, env_file, company_id=1) == []


def test_named_ones_may_be_of_any_age(app: Application) -> None:
    old = app.appointment(app.service(), AS_OF - timedelta(days=90), phases=())
    app.insert()
    assert ids_of(app) == []
    assert ids_of(app, appointment_ids=(str(old.id), "999")) == [str(old.id)]


def test_the_newest_as_many_as_may_be_touched(app: Application) -> None:
    service = app.service()
    for minutes in range(2, 8):
        app.appointment(service, AS_OF - timedelta(minutes=minutes), phases=())
    app.insert()
    plan = plan_of(app, most=4)
    assert plan.detail["appointments"] == ["6", "5", "4", "3"]
    assert "older ones wait for another run" in plan.lines[1]
    assert "older" not in " ".join(plan_of(app, most=6).lines)


def test_a_uuid_is_not_the_number_that_it_begins_with(build: Build) -> None:
    app = build("deployed")
    app.appointment(app.service(), AS_OF - timedelta(hours=1), phases=(), number=12)
    app.insert()
    assert ids_of(app, appointment_ids=("12",)) == ["12"]
    assert ids_of(app, appointment_ids=("00000012-0000-4000-8000-000000000000",)) == []


def test_flags_that_cannot_be_read_stop_it(build: Build, tmp_path: Path) -> None:
    app = build("deployed")
    app.insert()
    with pytest.raises(Refused, match=r"which appointments have no phases cannot be told: .* cannot be read"):
        ids_of(app, tmp_path / "nowhere")
