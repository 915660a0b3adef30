# SPDX-License-Identifier: MIT
"""The three troubles that the guide's runbook knows, recognised by the facts of a diagnosis."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from processing_time.incident.diagnosis_finding import Finding
from processing_time.model import figure
from processing_time.settings import Settings

Facts = Mapping[str, Any]


def recognise(facts: Facts, settings: Settings) -> list[Finding]:
    """Each trouble with its symptoms and, in the runbook's order, the causes that the facts show and what to do."""
    found = (trouble(facts, settings) for trouble in (_phases, _cache, _sync))
    return [finding for finding in found if finding is not None]


def _phases(facts: Facts, settings: Settings) -> Finding | None:
    symptoms = list(_below(facts, settings, "phase_creation_success_rate", "rate", "have phases today"))
    if facts.get("orphans"):
        symptoms.append(f"{figure(facts['orphans'])} appointments are without phases")
    causes = _said(
        facts,
        {
            "auto_phases": (
                lambda v: v is False,
                "auto phases are off: set FEATURE_PROCESSING_TIME_AUTO_PHASES=true",
            ),
            "config_stale": (bool, "the cached configuration is older than .env: php artisan config:cache"),
            "observer": (lambda v: v is False, "the observer is not registered: register it and deploy"),
            "without_durations": (bool, "services have processing time but no durations: correct them"),
            "log_errors": (bool, "the observer logs errors: mend their cause first"),
        },
    )
    resolution = "action create_missing_phases makes what is missing; a dry run lists it first"
    return _trouble("Phases not created", symptoms, causes, resolution)


def _cache(facts: Facts, _: Settings) -> Finding | None:
    symptoms = []
    if facts.get("hit_rate_bad"):
        symptoms.append("the hit rate is below its threshold")
    if facts.get("redis") is False:
        symptoms.append("Redis does not answer")
    if facts.get("without_ttl"):
        symptoms.append(f"{facts['without_ttl']} keys never expire")
    causes = _said(
        facts,
        {
            "redis": (lambda v: v is False, "restart Redis"),
            "entries": (
                lambda v: v == 0,
                "there is no availability key: check config/cache.php, and that the driver in .env is redis",
            ),
            "without_ttl": (
                bool,
                "keys without a TTL are never renewed",
            ),
        },
    )
    resolution = (
        "at last action clear_availability_cache, or clear_application_cache, which empties the whole store"
    )
    return _trouble("High cache miss rate", symptoms, causes, resolution)


def _sync(facts: Facts, settings: Settings) -> Finding | None:
    symptoms = list(_below(facts, settings, "calcom_sync_success_rate", "sync_rate", "are synced"))
    if facts.get("sync_errors"):
        symptoms.append(f"{figure(facts['sync_errors'])} appointments failed to sync within 7 days")
    causes = _said(
        facts,
        {
            "calcom_status": (
                lambda v: v in (401, 403),
                "Cal.com refuses the key: correct the credentials in .env",
            ),
            "calcom_ok": (lambda v: v is False, "Cal.com is not well: check its status page and wait"),
            "throttled": (bool, "Cal.com throttles (429): retry in portions, and slow the queue down"),
        },
    )
    return _trouble(
        "Cal.com sync failures", symptoms, causes, "action retry_failed_syncs retries the failed jobs"
    )


def _below(facts: Facts, settings: Settings, key: str, fact: str, what: str) -> Iterator[str]:
    """The symptom of a rate below its alert threshold, with enough data."""
    metric, value = settings.metrics.get(key), facts.get(fact)
    if metric is None or metric.alert is None or value is None:
        return
    if value < metric.alert and (facts.get(f"{fact}_of") or 0) >= metric.min_volume:
        yield f"only {value:.2f} % {what}"


def _said(facts: Facts, causes: Mapping[str, tuple[Callable[[Any], bool], str]]) -> list[str]:
    return [text for name, (holds, text) in causes.items() if name in facts and holds(facts[name])]


def _trouble(name: str, symptoms: list[str], causes: list[str], resolution: str) -> Finding | None:
    if not symptoms:
        return None
    return Finding(f"Recognised: {name}", "; ".join(symptoms), resolution, tuple(causes))
