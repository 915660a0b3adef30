# SPDX-License-Identifier: MIT
"""The actions that the incident DAG's form offers. One entry an action; its code is imported when it is used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from processing_time.incident.action import Action

DIAGNOSE = "diagnose"
ROLLBACK = "rollback"
FEATURE = "feature"
"""The lock of actions that decide which appointments have phases: no two of them act at once."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An action of the form.

    :param target: ``module:Class`` below :mod:`processing_time.incident`; the class is called without arguments.
    :param does: what it does, as the form's help says it.
    :param takes: the params of the form that mean something to it, besides ``alert_id`` and ``reason``; others are refused.
    :param lock: actions with the same lock never act at the same time.
    """

    target: str
    does: str
    takes: frozenset[str] = frozenset()
    lock: str = ""


REGISTRY: Mapping[str, Entry] = {
    DIAGNOSE: Entry(
        "diagnosis:Diagnose",
        "looks at everything and says what the runbook would do next; changes nothing",
        frozenset({"service_id", "cache_key"}),
    ),
    "clear_availability_cache": Entry(
        "availability_cache:ClearAvailabilityCache",
        "removes the cached availability, of all or of one company or service; it is fetched anew from Cal.com",
        frozenset({"company_id", "service_id"}),
    ),
    "retry_failed_syncs": Entry(
        "sync_jobs:RetryFailedSyncs",
        "hands the failed jobs of the Cal.com sync back to the queue, and no other job",
    ),
    "create_missing_phases": Entry(
        "missing_phases:CreateMissingPhases",
        "has the application make the phases of the appointments given, or of all orphaned ones of yesterday and today",
        frozenset({"company_id", "service_id", "appointment_ids"}),
        FEATURE,
    ),
    "clear_application_cache": Entry(
        "application_cache:ClearApplicationCache",
        "empties the whole cache store of the application (php artisan cache:clear)",
    ),
    "disable_feature": Entry(
        "feature:DisableFeature",
        "switches processing time off for everybody, in the .env of the application; level 3",
        lock=FEATURE,
    ),
    "enable_feature": Entry(
        "feature:EnableFeature",
        "switches it on again, as it was before it was disabled",
        lock=FEATURE,
    ),
    ROLLBACK: Entry(
        "rollback:Rollback",
        "switches it off and turns the appointments that lie ahead back into regular ones; level 4",
        frozenset({"company_id", "service_id", "appointment_ids"}),
        FEATURE,
    ),
    "relaunch": Entry(
        "relaunch:Relaunch",
        "puts the phases that a rollback took out back where they still fit, and switches it on",
        frozenset({"appointment_ids"}),
        FEATURE,
    ),
    "mute": Entry(
        "mute:MuteRule",
        "silences a rule, of all companies or of one, for at most 7 days; what is muted is measured all the same",
        frozenset({"rule", "company_id", "until"}),
    ),
}


def load(name: str) -> Action:
    """The action of that name.

    :raises KeyError: when there is none.
    """
    module, _, cls = REGISTRY[name].target.partition(":")
    action: Action = getattr(importlib.import_module(f"{__package__}.{module}"), cls)()
    return action


def lock_of(name: str) -> str:
    """The lock under which an action acts."""
    return f"act.{REGISTRY[name].lock or name}"
