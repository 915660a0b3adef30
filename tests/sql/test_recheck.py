# SPDX-License-Identifier: MIT
"""The appointments of open alerts, asked about again: only what is still wrong with them counts, not their window."""

from __future__ import annotations

from datetime import timedelta

import pytest

from processing_time.model import Alert, AlertState, Severity
from processing_time.sources.recheck import still_failing
from tests.sql.application import Application, Phase, berlin
from tests.sql.conftest import settings_for

AS_OF = berlin("2026-07-15 14:00")
LONG_AGO = AS_OF - timedelta(days=40)
ORPHANS, STALE, RATE = "orphaned_appointments", "stale_phases", "phase_creation_success_rate"


def about(rule: str, *subjects: int, company: int = 0) -> Alert:
    times = dict.fromkeys(("opened_at", "last_seen_at", "last_counted_at", "last_told_at"), AS_OF)
    return Alert(rule, company, Severity.INFO, 1, AlertState.FIRING, **times, subjects=subjects)


@pytest.mark.parametrize("rule", [ORPHANS, RATE])
def test_appointments_that_have_phases_or_are_gone_are_dealt_with(app: Application, rule: str) -> None:
    service, plain = app.service(), app.service(has_processing_time=False)
    still = app.appointment(service, LONG_AGO, phases=[])
    repaired = app.appointment(service, LONG_AGO)
    without = app.appointment(plain, LONG_AGO, phases=[])
    unasked = app.appointment(service, LONG_AGO, phases=[])
    app.insert()
    alert = about(rule, still.id, repaired.id, without.id, 4711, company=3)
    assert still_failing(app.connect, settings_for(app), [alert]) == {(rule, 3): (1, 4)}
    assert unasked.id not in alert.subjects


@pytest.mark.parametrize("rule", [ORPHANS, RATE])
def test_deleted_ones_are_gone(build: object, rule: str) -> None:
    app = build("deployed")  # type: ignore[operator]
    service, removed = app.service(), app.service(deleted=True)
    ids = [app.appointment(service, LONG_AGO, phases=[], deleted=deleted).id for deleted in (True, False)]
    ids.append(app.appointment(removed, LONG_AGO, phases=[]).id)
    app.insert()
    assert still_failing(app.connect, settings_for(app), [about(rule, *ids)]) == {(rule, 0): (1, 3)}


def test_stale_phases(app: Application) -> None:
    service, plain = app.service(), app.service(has_processing_time=False)
    phase = Phase("initial", LONG_AGO, LONG_AGO + timedelta(minutes=15))
    stale = app.appointment(plain, LONG_AGO, phases=[phase])
    good = app.appointment(service, LONG_AGO, phases=[phase])
    cleaned = app.appointment(plain, LONG_AGO, phases=[])
    app.insert()
    alert = about(STALE, stale.id, good.id, cleaned.id)
    assert still_failing(app.connect, settings_for(app), [alert]) == {(STALE, 0): (1, 3)}


def test_composite_phases_are_not_stale(build: object) -> None:
    app = build("deployed")  # type: ignore[operator]
    plain = app.service(has_processing_time=False)
    phase = Phase("initial", LONG_AGO, LONG_AGO + timedelta(minutes=15), segment_key="wash")
    composite = app.appointment(plain, LONG_AGO, phases=[phase])
    app.insert()
    assert still_failing(app.connect, settings_for(app), [about(STALE, composite.id)]) == {(STALE, 0): (0, 1)}


def test_nothing_to_ask_asks_nobody() -> None:
    def connect() -> object:
        pytest.fail("asked")

    from processing_time.settings import load

    assert still_failing(connect, load(), [about(ORPHANS), about("calcom_sync_success_rate", 1)]) == {}


def test_what_cannot_be_asked_is_missing_and_logged(
    app: Application, caplog: pytest.LogCaptureFixture
) -> None:
    app.run("DROP TABLE appointment_phases")
    assert still_failing(app.connect, settings_for(app), [about(ORPHANS, 1)]) == {}
    assert "there is no table appointment_phases" in caplog.text


def test_a_server_that_is_away_is_logged(app: Application, caplog: pytest.LogCaptureFixture) -> None:
    assert still_failing(lambda: app.connect(port=1), settings_for(app), [about(ORPHANS, 1)]) == {}
    assert "could not be asked about again" in caplog.text
    assert "reads-only" not in caplog.text
