# SPDX-License-Identifier: MIT
"""What the application itself and Cal.com answer to a diagnosis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from processing_time.incident.action import Hands, Request
from processing_time.incident.diagnosis_database import flags_of
from processing_time.incident.diagnosis_finding import Finding
from processing_time.model import SourceUnavailable

_STALE = "the cached configuration is older than .env: run php artisan config:cache"
_NAMES = {"processing_time_enabled": "enabled", "processing_time_auto_create_phases": "auto_create_phases"}


def laravel(_: Request, hands: Hands) -> Iterator[Finding]:
    """Whether the observer is registered, and what the configuration really holds."""
    artisan = hands.artisan()
    registered = artisan.observer_registered()
    yield Finding(
        "Observer",
        "registered" if registered else "NOT registered",
        "look at the errors in the log"
        if registered
        else "register AppointmentPhaseObserver (a service provider, or the model's attribute), deploy, then start"
        " this form with action create_missing_phases",
        facts={"observer": registered},
    )
    features = artisan.features()
    known = flags_of(hands.settings)
    differs = (
        []
        if isinstance(known, SourceUnavailable) or not known.configured
        else [
            name
            for name, ours in _NAMES.items()
            if name in features and bool(features[name]) != getattr(known, ours)
        ]
    )
    yield Finding(
        "config('features.…')",
        f"differs from .env in {', '.join(differs)}" if differs else "as .env says",
        _STALE if differs else "nothing to do",
        tuple(f"{name}: {_value(value)}" for name, value in sorted(features.items())),
        {"config_stale": bool(differs)},
    )


def calcom(_: Request, hands: Hands) -> Iterator[Finding]:
    """Cal.com's health."""
    health = hands.calcom().health()
    status = health.status
    if status is None:
        answer, then = (
            f"no answer ({health.fault})",
            "check Cal.com's status page and the network; retry afterwards",
        )
    elif status in (401, 403):
        answer, then = f"refuses the key ({status})", "correct the API key here and in the application's .env"
    elif status == 429:
        answer, then = "throttles (429)", "ask less: slow the queue down, and retry in portions"
    elif status >= 400:
        answer, then = f"is not well ({status})", "check Cal.com's status page, wait, and retry afterwards"
    else:
        answer = f"answers ({status}); its health says nothing about the key"
        then = "if jobs still fail, check the credentials in .env, then retry_failed_syncs"
    yield Finding(
        "Cal.com",
        f"{answer}, {health.milliseconds} ms",
        then,
        facts={"calcom_ok": status is not None and status < 400, "calcom_status": status},
    )


def _value(value: Any) -> str:
    """A flag as text: the flags are switches, numbers, and lists of ids."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(str(item)[:40] for item in value[:50]) or "empty"
    return str(value)[:200]
