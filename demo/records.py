# SPDX-License-Identifier: MIT
"""The log records of the stand-in application, worded as the guide's and as the deployed application's code.

Monolog writes `[time] environment.LEVEL: message {context} ` with line breaks inside the context left as they are,
so a trace goes on below its record.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from demo.account import Appointment, LogRecord, Service, World

_TRACE = (
    "#0 /var/www/booking/app/Services/AppointmentPhaseCreationService.php(87): PDOStatement->execute()",
    (
        "#1 /var/www/booking/app/Observers/AppointmentPhaseObserver.php(41): App\\Services\\"
        "AppointmentPhaseCreationService->createPhasesForAppointment(Object(App\\Models\\Appointment))"
    ),
    (
        "#2 /var/www/booking/vendor/laravel/framework/src/Illuminate/Events/Dispatcher.php(458): App\\Observers\\"
        "AppointmentPhaseObserver->created(Object(App\\Models\\Appointment)) // AppointmentPhaseObserver: Failed"
    ),
    '#3 {main}"} ',
)
_SYNC_FAULTS = (
    "Cal.com API answered 503 Service Unavailable",
    "Cal.com API answered 429 Too Many Requests",
    "cURL error 28: Operation timed out after 10000 milliseconds",
)
#: Level, message, lines below it. `{n}` is a number. The words of the rules appear where they must not count.
NOISE: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("INFO", '🔐 User logged in {{"user_id":{n}}} ', ()),
    ("INFO", 'Terminbestätigung verschickt {{"appointment_id":{n},"channel":"mail"}} ', ()),
    ("DEBUG", "[Scheduler] Running scheduled command: queue:prune-failed", ()),
    ("WARNING", '⚠️ Slow query {{"connection":"mysql","time_ms":{n}}} ', ()),
    (
        "INFO",
        'SyncAppointmentToCalcomJob: Processing Time job queued {{"job_id":{n},"tries_after_error":3}} ',
        (),
    ),
    ("INFO", 'Invoice exported {{"invoice_id":{n},"note":"previous export failed"}} ', ()),
    (
        "ERROR",
        'Undefined array key "slot" {{"exception":"[object] (ErrorException(code: 0): Undefined array key at {n}',
        (
            "[stacktrace]",
            "#0 /var/www/booking/app/Http/Controllers/SlotController.php(55): Illuminate\\Foundation\\{closure}()",
            "#1 /var/www/booking/app/Listeners/LogAppointmentPhaseObserver: Failed.php(12)",
            '"} ',
        ),
    ),
)


def phases_created(appointment: Appointment, duration_ms: float, world: World) -> LogRecord:
    """The observer's success line; only the guide's has the duration."""
    if world == "guide":
        rounded = round(duration_ms, 2)
        context: dict[str, Any] = {"appointment_id": appointment.id, "phases_count": len(appointment.phases)}
        context["duration_ms"] = rounded
        message = f"AppointmentPhaseObserver: Phases created {_json(context)} "
        return LogRecord(appointment.created_at, "INFO", message, "phases_created", duration_ms=rounded)
    context = {
        "appointment_id": appointment.id,
        "service_id": int(appointment.service.id),
        "phases_count": len(appointment.phases),
        "type": "processing_time",
    }
    message = f"AppointmentPhaseObserver: Processing Time phases created {_json(context)} "
    return LogRecord(appointment.created_at, "INFO", message, "phases_created")


def phases_failed(appointment: Appointment) -> LogRecord:
    """The observer's failure line with its trace. The database's message quotes the customer, as such messages do."""
    customer = appointment.customer
    error = (
        "SQLSTATE[HY000]: General error: 1205 Lock wait timeout exceeded (SQL: insert into `appointment_phases` "
        f"… /* {customer.name}, {customer.phone}, {customer.email} */)"
    )
    context = _json({"appointment_id": appointment.id, "error": error}).removesuffix("}")
    message = f'AppointmentPhaseObserver: Failed to create phases {context},"trace":"{_TRACE[0]}'
    return LogRecord(appointment.created_at, "ERROR", message, "phases_failed", _TRACE[1:])


def phases_update_failed(appointment: Appointment, at: datetime) -> LogRecord:
    """A failure of the observer when an appointment is moved."""
    context = _json({"appointment_id": appointment.id, "error": "Deadlock found when trying to get lock"})
    message = f"AppointmentPhaseObserver: Failed to update phases on reschedule {context} "
    return LogRecord(at, "ERROR", message, "phases_update_failed")


def observer_disabled(at: datetime) -> LogRecord:
    """The observer says that it was switched off."""
    message = 'AppointmentPhaseObserver: Skipped {"features.processing_time_auto_create_phases":false} '
    return LogRecord(at, "INFO", message, "observer_disabled")


def synced(appointment: Appointment, at: datetime, fault: int | None) -> LogRecord:
    """The sync job's result; `fault` says which error it met. Only split appointments name the feature."""
    kind = "Processing Time appointment" if appointment.service.has_processing_time else "appointment"
    if fault is None:
        context: Mapping[str, Any] = {
            "appointment_id": appointment.id,
            "booking_uid": f"cal_{appointment.id:x}",
        }
        message = f"SyncAppointmentToCalcomJob: {kind} sync success {_json(context)} "
        return LogRecord(at, "INFO", message, "sync_success", channel="calcom")
    context = {"appointment_id": appointment.id, "reason": _SYNC_FAULTS[fault], "attempt": 3}
    message = f"❌ SyncAppointmentToCalcomJob: {kind} sync failed {_json(context)} "
    return LogRecord(at, "ERROR", message, "sync_failed", channel="calcom")


def availability(at: datetime, service: Service, week: date, world: World, *, hit: bool) -> LogRecord | None:
    """A look-up of free slots. The deployed application says nothing when the cache served it."""
    key = cache_key(service, week, world)
    if hit:
        if world == "deployed":
            return None
        return LogRecord(
            at, "DEBUG", f'[WeeklyAvailability] Served from cache {{"cache_key":"{key}"}} ', "cache_hit"
        )
    context = _json({"cache_key": key, "dates_with_slots": 5, "total_slots": 30 + at.second})
    return LogRecord(
        at, "INFO", f"[WeeklyAvailability] Cal.com API response received {context} ", "cache_miss"
    )


def cache_key(service: Service, week: date, world: World) -> str:
    """The application's key of a week's availability, without Laravel's prefix."""
    suffix = f":pt_{int(service.has_processing_time)}" if world == "guide" else ""
    return f"week_availability:{service.company_id}:{service.id}:{week:%Y-%m-%d}{suffix}"


def _json(context: Mapping[str, Any]) -> str:
    return json.dumps(context, ensure_ascii=False, separators=(",", ":"))
