# SPDX-License-Identifier: MIT
"""Rollback and relaunch with the logins of an installation, here or in a process that kills itself before a chosen statement.

The switch of the feature is a stand-in for artisan that edits the stand-in application's `.env`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import MySQLdb

from demo.application import PASSWORDS
from processing_time.incident import rollback
from processing_time.incident.action import Hands, Plan, Refused, Request, Result
from processing_time.incident.artisan import FlagFile, Ran
from processing_time.incident.registry import load as action
from processing_time.settings import Settings, load
from processing_time.store import Store
from tests.integration.crashing import Steps, _Counting

AS_OF = datetime(2026, 6, 10, 12, tzinfo=UTC)
"""A Wednesday, 14:00 in Berlin."""
TOGGLE = "FEATURE_PROCESSING_TIME_ENABLED"


@dataclass(frozen=True)
class Place:
    """Where an application is, in a form that another process can be given.

    `init` is a statement at each connection; without `artisan` there is no Laravel connection.
    """

    port: int
    env_file: Path | None
    host: str = "127.0.0.1"
    init: str = "SET time_zone = '+00:00'"
    artisan: bool = True
    batch: int = rollback.BATCH

    def connect(self, user: str, schema: str) -> Any:
        return MySQLdb.connect(
            host=self.host,
            port=self.port,
            user=user,
            password=PASSWORDS[user],
            database=schema,
            charset="utf8mb4",
            init_command=self.init,
        )

    def settings(self) -> Settings:
        loaded = load()
        changed = loaded.application.model_copy(update={"env_file": self.env_file})
        return loaded.model_copy(update={"application": changed})


class Switch:
    """The part of artisan that a rollback needs."""

    def __init__(self, env_file: Path) -> None:
        self._file = env_file

    def features(self) -> Mapping[str, Any]:
        on = self._value() == "true"
        return {"processing_time_enabled": on, "processing_time_service_whitelist": []}

    def flags(self, switch: str) -> FlagFile:
        wanted = "true" if switch == "enable" else "false"
        return FlagFile(
            before={TOGGLE: self._value()},
            after={TOGGLE: wanted},
            toggle=switch == "enable",
            listed=False,
            saved=None,
            config_cached=False,
            also_changes=(),
        )

    def set_flags(self, switch: str) -> FlagFile:
        file = self.flags(switch)
        text = re.sub(
            rf"^{TOGGLE}=.*$", f"{TOGGLE}={file.after[TOGGLE]}", self._file.read_text(), flags=re.MULTILINE
        )
        self._file.write_text(text)
        return file

    def rebuild_config(self) -> Ran:
        raise AssertionError("the configuration is not cached")

    def _value(self) -> str:
        found = re.search(rf"^{TOGGLE}=(.*)$", self._file.read_text(), re.MULTILINE)
        assert found
        return found[1]


def hands(place: Place, store: Store, wrap: Callable[[Any], Any] = lambda c: c) -> Hands:
    """What an installation gives an action; `wrap` gets each connection to the application."""

    def artisan() -> Any:
        if not place.artisan:
            raise Refused("the connection processing_time_laravel is not defined")
        return Switch(place.env_file)

    def nothing() -> Any:
        raise AssertionError("not needed")

    return Hands(
        settings=place.settings(),
        application=lambda: wrap(place.connect("pt_monitor", "booking")),
        write=lambda: wrap(place.connect("pt_monitor_write", "booking")),
        redis=nothing,
        artisan=artisan,
        calcom=nothing,
        store=store,
    )


def request(name: str, **more: Any) -> Request:
    return replace(Request(action=name, dry_run=False, as_of=AS_OF, requested_by="anna"), **more)


def planned(place: Place, name: str, **more: Any) -> Plan:
    with Store(lambda: place.connect("pt_store", "processing_time_monitor")) as store:
        return action(name).plan(request(name, **more), hands(place, store))


def acted(place: Place, name: str, plan: Plan) -> Result:
    """What was planned, here and undisturbed."""
    return _act(place, name, plan, lambda connection: connection)


def child(place: Place, name: str, plan: Plan, fatal: int | None, counter: Any) -> None:
    """The process: what was planned, with every statement to either server counted."""
    steps = Steps(fatal, counter)
    rollback.BATCH = place.batch
    _act(place, name, plan, lambda connection: _Counting(connection, steps))


def _act(place: Place, name: str, plan: Plan, wrap: Callable[[Any], Any]) -> Result:
    with Store(lambda: wrap(place.connect("pt_store", "processing_time_monitor"))) as store:
        return action(name).act(request(name), hands(place, store, wrap), plan)
