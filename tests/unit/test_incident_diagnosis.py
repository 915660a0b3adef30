# SPDX-License-Identifier: MIT
"""A diagnosis tells codes, classes, places and ids of an error, never its text; and it recognises the known troubles."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from processing_time.incident import diagnosis_errors as errors
from processing_time.incident.diagnosis_log import Told, read
from processing_time.incident.diagnosis_troubles import recognise
from processing_time.settings import load

SETTINGS = load()
AT = datetime(2026, 6, 10, 12, tzinfo=UTC)
PERSON = "Leyla Özdemir, +49 151 4291234, leyla@kunden.example"

TEXTS = {
    f"SQLSTATE[HY000]: General error: 1205 Lock wait timeout exceeded (SQL: … {PERSON})": "SQLSTATE HY000, error 1205",
    f"SQLSTATE[42S22]: Column not found: 1054 Unknown column '{PERSON}'": "SQLSTATE 42S22, error 1054",
    "SQLSTATE[08S01] broken": "SQLSTATE 08S01",
    f"Deadlock found when trying to get lock; {PERSON}": "deadlock (1213)",
    f"cURL error 28: Operation timed out {PERSON}": "cURL error 28",
    f"Call to a member of Illuminate\\Database\\QueryException by {PERSON}": "Illuminate\\Database\\QueryException",
    f"TypeError for {PERSON}": "TypeError",
    f"no access for {PERSON}": "",
}


@pytest.mark.parametrize(("text", "kind"), TEXTS.items())
def test_of_a_text_only_codes_and_classes_are_told(text: str, kind: str) -> None:
    assert errors.kind(text) == kind


@pytest.mark.parametrize(
    ("code", "text", "told"),
    [
        ("CALCOM_503", f"{PERSON}", "CALCOM_503"),
        ("429", None, "429"),
        (None, f"Cal.com API answered 429 Too Many Requests for {PERSON}", "429"),
        (None, "Cal.com API answered 503 Service Unavailable", "503"),
        (None, "cURL error 28: timed out", "cURL error 28"),
        ("Leyla Özdemir", f"unknown attendee {PERSON}", "other"),
        (None, None, "other"),
        (None, f"HTTP/1.1 502 for {PERSON}", "502"),
        (None, "Client error: status code: 404", "404"),
        (None, "attendee +49 151 503 429", "other"),
    ],
)
def test_a_failed_sync_is_told_by_its_code(code: str | None, text: str | None, told: str) -> None:
    assert errors.of_sync(code, text) == told


@pytest.mark.parametrize(
    ("code", "slow"), [("429", True), ("CALCOM_429", True), ("RATE_LIMITED", True), ("503", False)]
)
def test_throttling_is_told_apart(code: str, slow: bool) -> None:
    assert errors.throttled(code) is slow


# --- the log ------------------------------------------------------------------------------------------------


def log_of(tmp_path: Path, *lines: str) -> Any:
    file = tmp_path / "laravel.log"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    application = SETTINGS.application.model_copy(update={"logs": (str(file),)})
    return SETTINGS.model_copy(update={"application": application})


def record(at: datetime, message: str, level: str = "ERROR") -> str:
    return f"[{at:%Y-%m-%d %H:%M:%S}] production.{level}: {message}"


def test_errors_are_grouped_counted_and_told_without_their_texts(tmp_path: Path) -> None:
    lock = f'{{"appointment_id":%d,"error":"SQLSTATE[HY000]: General error: 1205 Lock wait {PERSON}","trace":"#0 x'
    place = (
        "#1 /var/www/booking/app/Services/AppointmentPhaseCreationService.php(87): PDOStatement->execute()"
    )
    create = "AppointmentPhaseObserver: Failed to create phases "
    settings = log_of(
        tmp_path,
        record(AT - timedelta(hours=25), create + lock % 1, "ERROR"),
        record(AT - timedelta(hours=3), create + lock % 2),
        place,
        record(AT - timedelta(hours=2), "AppointmentPhaseObserver: Phases created {}", "INFO"),
        record(AT - timedelta(hours=1), create + lock % 3),
        place,
        record(AT - timedelta(minutes=9), f"AppointmentPhaseObserver: Gave up for {PERSON}"),
        record(AT - timedelta(minutes=8), "Undefined key", "ERROR"),
        "#1 /var/www/booking/app/Listeners/LogAppointmentPhaseObserver: Failed.php(12)",
        record(AT, create + lock % 4),
    )
    groups = read(settings, AT - timedelta(hours=24), AT)
    assert {told: (g.count, g.appointment) for told, g in groups.items()} == {
        Told(
            "AppointmentPhaseObserver: Failed to create phases",
            "SQLSTATE HY000, error 1205",
            "app/Services/AppointmentPhaseCreationService.php:87",
        ): (2, "3"),
        Told("AppointmentPhaseObserver (another message)", "", ""): (1, ""),
    }
    (newest,) = (g.newest for told, g in groups.items() if told.kind)
    assert newest == int((AT - timedelta(hours=1)).timestamp())


# --- the known troubles -------------------------------------------------------------------------------------

HEALTHY = {
    "auto_phases": True,
    "observer": True,
    "orphans": 0,
    "rate": 100.0,
    "rate_of": 90,
    "sync_rate": 99.5,
    "sync_rate_of": 700,
    "sync_errors": 0,
    "throttled": 0,
    "redis": True,
    "entries": 12,
    "without_ttl": 0,
    "hit_rate_bad": False,
    "calcom_ok": True,
    "calcom_status": 200,
}

TROUBLES: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "healthy": ({}, {}),
    "nothing known": (dict.fromkeys(HEALTHY), {}),
    "orphans": ({"orphans": 3}, {"Recognised: Phases not created": "3 appointments are without phases"}),
    "rate": ({"rate": 94.9}, {"Recognised: Phases not created": "only 94.90 % have phases today"}),
    "rate at the bound": ({"rate": 95.0}, {}),
    "rate of too few": ({"rate": 50.0, "rate_of": 10}, {}),
    "cache": (
        {"hit_rate_bad": True},
        {"Recognised: High cache miss rate": "the hit rate is below its threshold"},
    ),
    "redis gone": ({"redis": False}, {"Recognised: High cache miss rate": "Redis does not answer"}),
    "stuck keys": ({"without_ttl": 4}, {"Recognised: High cache miss rate": "4 keys never expire"}),
    "sync": ({"sync_rate": 94.0}, {"Recognised: Cal.com sync failures": "only 94.00 % are synced"}),
    "sync errors": (
        {"sync_errors": 2},
        {"Recognised: Cal.com sync failures": "2 appointments failed to sync within 7 days"},
    ),
}


@pytest.mark.parametrize(("changed", "expected"), TROUBLES.values(), ids=TROUBLES)
def test_troubles_are_recognised_by_their_symptoms(changed: dict[str, Any], expected: dict[str, str]) -> None:
    found = recognise({**HEALTHY, **changed}, SETTINGS)
    assert {f.question: f.answer for f in found} == expected


@pytest.mark.parametrize(
    ("facts", "cause", "action"),
    [
        ({"orphans": 1, "auto_phases": False}, "auto phases are off", "create_missing_phases"),
        ({"orphans": 1, "observer": False}, "the observer is not registered", "create_missing_phases"),
        ({"orphans": 1, "log_errors": 2}, "the observer logs errors", "create_missing_phases"),
        ({"without_ttl": 2}, "keys without a TTL are never renewed", "clear_availability_cache"),
        ({"hit_rate_bad": True, "entries": 0}, "there is no availability key", "clear_availability_cache"),
        ({"sync_errors": 2, "throttled": 1}, "Cal.com throttles (429)", "retry_failed_syncs"),
        ({"sync_errors": 2, "calcom_ok": False}, "Cal.com is not well", "retry_failed_syncs"),
        ({"sync_errors": 2, "calcom_status": 401}, "Cal.com refuses the key", "retry_failed_syncs"),
    ],
)
def test_a_cause_that_the_facts_show_is_named_with_the_action_that_helps(
    facts: dict[str, Any], cause: str, action: str
) -> None:
    (trouble,) = recognise({**HEALTHY, **facts}, SETTINGS)
    assert any(item.startswith(cause) for item in trouble.items)
    assert action in trouble.then
