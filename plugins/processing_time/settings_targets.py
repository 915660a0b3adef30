# SPDX-License-Identifier: MIT
"""Settings of several application installations: the connections of each, and what it lays over the common settings.

A target's name is at the end of everything that is its own: ``processing_time_health_check__berlin``,
``processing_time_mysql__berlin``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from processing_time.settings_types import Section, matching

SEPARATOR = "__"
SCHEMA = "processing_time_monitor"
"""Our own schema; in a target its name follows."""
SHARED = ("slack", "metrics")
"""Connections that targets have in common unless they name their own."""
_NAME = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")

ConnectionId = Annotated[
    str, matching(r"[\w.-]{1,200}", "is not an id of an Airflow connection: letters, digits, _, - and . only")
]


class Connections(Section):
    """The ids of the Airflow connections."""

    mysql: ConnectionId
    """the application's database. In a target the default of each id ends with `__` and the target's name"""
    mysql_write: ConnectionId
    """the same for rollback and relaunch; optional"""
    redis: ConnectionId
    """the application's cache"""
    store: ConnectionId
    """our own schema. In a target the connection must name a schema of its own"""
    laravel: ConnectionId
    """where `php artisan` runs; optional"""
    calcom: ConnectionId
    """Cal.com's API; optional"""
    slack: ConnectionId
    """the bot token. Targets share it unless they name their own"""
    metrics: ConnectionId
    """the token that Prometheus sends; optional. Shared in the same way"""


def of_target(name: str, common: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """What a target lays over the common settings: its own, and connections of its own."""
    named = {
        kind: conn_id if kind in SHARED else f"{conn_id}{SEPARATOR}{name}"
        for kind, conn_id in common["connections"].items()
    }
    return {**own, "connections": {**named, **own.get("connections", {})}}


def fault(common: Mapping[str, Any], targets: Any) -> str:
    """A sentence about the first target that cannot be one; empty when there is none."""
    if not isinstance(targets, Mapping):
        return f"targets = {targets!r} is not a mapping: write a name and below it what differs there"
    if targets and not isinstance(common["connections"], Mapping):
        return f"connections = {common['connections']!r} is not a mapping of ids"
    stores: dict[str, str] = {}
    for name, own in targets.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > 30:
            return f"targets.{name} is not a usable name: small letters, digits and single _ only, at most 30"
        if not isinstance(own, Mapping):
            return f"targets.{name} = {own!r} is not a mapping: write below it what differs there, or {{}}"
        if not isinstance(own.get("connections", {}), Mapping):
            return f"targets.{name}.connections = {own['connections']!r} is not a mapping of ids"
        if "targets" in own:
            return f"targets.{name}.targets is not a setting"
        store = of_target(name, common, own)["connections"]["store"]
        if not isinstance(store, str):
            continue  # what is no id at all is said with the target's other settings
        if other := stores.get(store):
            return (
                f"targets.{name}.connections.store = {store!r} is that of {other}, too: each target needs a schema of"
                " its own"
            )
        stores[store] = name
    return ""
