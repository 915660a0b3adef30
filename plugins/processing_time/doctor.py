# SPDX-License-Identifier: MIT
"""Goes through the settings and connections of an installation and says of each in a line what works, what to fix.

    PYTHONPATH=plugins python -m processing_time.doctor [--send-test-message]

It reads what a check reads, with the same code, and judges it as a check does, so that what would be ``unknown`` is known
beforehand. It changes nothing but an empty store, whose tables it makes as the first check would. Status 1 says that
something needed is broken.
"""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException

from processing_time import checkup
from processing_time.checkup import Found, Line
from processing_time.evaluation import Memory, evaluate
from processing_time.incident.action import Refused
from processing_time.messages.context import elapsed
from processing_time.model import ALL_COMPANIES, Collected, Loss, SourceUnavailable, State
from processing_time.operators import connections
from processing_time.settings import CONFIG_VARIABLE, PREFIX, Settings, SettingsError, load, load_each
from processing_time.sources import cache, database, feature_flags, laravel_log
from processing_time.sources.snapshot import snapshot
from processing_time.summary import flag_lines
from processing_time.timeline import Timeline, length_text, previous_tick, whole_seconds

LOGS, ENV_FILE = "application.logs", "application.env_file"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each finding; the exit status."""
    parser = argparse.ArgumentParser(prog="processing_time.doctor", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--send-test-message", action="store_true", help="send one message into each configured channel"
    )
    parser.add_argument("--target", default="", help="only this one of the settings' targets")
    options = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    # As Airflow's own `airflow connections` does: connections in Airflow's database count too.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    broken = 0
    found = examine(datetime.now(UTC), send_test_message=options.send_test_message, target=options.target)
    for line in found:
        print(line, flush=True)
        broken += line.mark == "fix"
    print("Everything that is needed works." if not broken else f"To fix: {broken}.")
    return 1 if broken else 0


def examine(present: datetime, *, send_test_message: bool = False, target: str = "") -> Found:
    """Go through everything of each target, and give each finding when it is made.

    :param present: the present time; aware.
    :param send_test_message: whether each configured channel gets a message.
    :param target: only this one; empty for all.
    """
    try:
        every = [load(target=target)] if target else list(load_each())
    except SettingsError as error:
        yield from (Line("fix", "settings", sentence) for sentence in str(error).splitlines())
        return
    for settings in every:
        for line in _examine(settings, present, send_test_message=send_test_message):
            what = f"{settings.target}: {line.what}" if settings.target else line.what
            yield replace(line, what=what, text=settings.named(line.text))
    yield from _shared_stores(every)


def _examine(settings: Settings, present: datetime, *, send_test_message: bool) -> Found:
    ids = settings.connections
    yield _settings(settings)
    yield from _Sources(settings, present).lines()
    yield from _used(ids.store, lambda: checkup.store(ids.store, _store_connect(settings)))
    yield from _used(ids.slack, lambda: _slack(settings, send=send_test_message))
    yield from _used(ids.mysql_write, lambda: _repairer(settings), needed=False)
    yield from _used(ids.laravel, lambda: _artisan(ids.laravel), needed=False)
    yield from _used(ids.calcom, lambda: _reachable(ids.calcom, 443), needed=False)


def _shared_stores(every: Sequence[Settings]) -> Found:
    """Targets whose connections lead to the same schema would mix their alerts."""
    seen: dict[tuple[object, ...], Settings] = {}
    for settings in every:
        try:
            store = BaseHook.get_connection(settings.connections.store)
        except AirflowNotFoundException:
            continue
        place = ((store.host or "").lower(), store.port or 3306, store.schema)
        other = seen.setdefault(place, settings)
        if other is not settings:
            yield Line(
                "fix",
                settings.connections.store,
                f"leads to the schema of {other.target}, too: give each target a schema of its own",
            )


@dataclass
class _Sources:
    """The application's flags, database, log and cache, read as a check at the present time reads them."""

    settings: Settings
    present: datetime
    flags: Mapping[str, Any] = field(default_factory=dict)
    collected: dict[str, Collected | str] = field(default_factory=dict)

    @property
    def timeline(self) -> Timeline:
        settings, as_of = self.settings, whole_seconds(self.present)
        tick = previous_tick(settings.schedule.health_check, settings.zone, as_of)
        return Timeline(as_of, settings.zone, settings.application_zone, tick)

    def lines(self) -> Found:
        yield from self._unless_unavailable("flags", ENV_FILE, self._flags)
        yield from self._unless_unavailable("mysql", self.settings.connections.mysql, self._database)
        yield from self._unless_unavailable("log", LOGS, self._log)
        yield from self._unless_unavailable("redis", self.settings.connections.redis, self._cache)
        yield from self._unknown()

    def _unless_unavailable(self, source: str, what: str, read: Callable[[], Found]) -> Found:
        # What gives no line was never asked, because its connection is not defined.
        self.collected[source] = f"{what} is not usable"
        try:
            yield from _used(what, read)
        except SourceUnavailable as error:
            self.collected[source] = str(error)
            yield Line("fix", what, str(error))

    def _flags(self) -> Found:
        file = self.settings.application.env_file
        self.flags = feature_flags.read(file).to_json()
        yield Line("ok" if file else "note", ENV_FILE, ", ".join(flag_lines(self.flags)))

    def _database(self) -> Found:
        conn_id = self.settings.connections.mysql
        connect = _connect(conn_id)
        flags: feature_flags.FeatureFlags | SourceUnavailable = SourceUnavailable(
            str(self.collected["flags"])
        )
        if self.flags:
            flags = feature_flags.FeatureFlags.from_json(self.flags)
        collected = database.collect(connect, self.settings, self.timeline, flags)
        self.collected["mysql"] = collected
        number = collected.facts["traffic"]
        traffic = f"{'?' if number is None else number} eligible appointments in {length_text(self.settings.silent_after)}"
        with snapshot(connect, self.settings.schedule.statement_timeout) as opened:
            yield from checkup.reader(conn_id, opened, traffic)

    def _log(self) -> Found:
        if hosts := self.settings.application.log_hosts:
            self.collected["log"] = "each host has a log of its own"
            for name, host in hosts.items():
                text = f"not read here, but by the workers of the queue {host.queue}: see the task read_log.{name}"
                yield Line("note", f"application.log_hosts.{name}", text)
            return
        need_since = self.timeline.as_of - self.settings.silent_after
        collected = laravel_log.collect(
            self.settings, self.timeline, present=self.present, need_since=need_since
        )
        self.collected["log"] = collected
        files, newest = collected.facts["globs"], collected.facts["newest_record"]
        age = f"{elapsed(self.present - datetime.fromisoformat(newest))} ago" if newest else "unknown"
        yield Line("ok", LOGS, f"files: {sum(files.values())}, newest record {age}")
        for pattern, number in files.items():
            if not number:
                yield Line("note", LOGS, f"{pattern} matches no file")

    def _cache(self) -> Found:
        conn_id = self.settings.connections.redis
        client = connections.redis_client(conn_id)
        collected = cache.collect(client, self.settings, self.timeline)
        self.collected["redis"] = collected
        pattern, entries = self.settings.application.cache_key_pattern, collected.facts["entries"]
        if entries:
            yield Line("ok", conn_id, f"{entries} keys match {pattern}")
        elif advice := checkup.keys_elsewhere(client, pattern):
            yield Line("fix", conn_id, f"no key matches {pattern}, but {advice}")
        else:
            yield Line("note", conn_id, f"reachable; no key matches {pattern} now, they live for a minute")

    def _unknown(self) -> Found:
        """The metrics and rules that a check would not be able to measure, judged as a check does it."""
        # What the database cannot give is to be fixed, even if it has never given it.
        memory = Memory(measured=frozenset(self.settings.enabled("mysql")))
        verdicts = evaluate(self.collected, self.flags, memory, self.settings, self.timeline, self.present)
        for verdict in verdicts:
            loss = verdict.sample.loss
            if (
                verdict.state is State.UNKNOWN
                and verdict.company_id == ALL_COMPANIES
                and loss is not Loss.SOURCE
            ):
                part = "metrics" if verdict.metric in self.settings.metrics else "log_rules"
                mark = "note" if loss is Loss.NEVER else "fix"
                yield Line(mark, f"{part}.{verdict.metric}", f"would be unknown: {verdict.reason}")


def _settings(settings: Settings) -> Line:
    variables = sum(name.upper().startswith(PREFIX) for name in os.environ)
    own = f"{CONFIG_VARIABLE} and " if os.environ.get(CONFIG_VARIABLE) else ""
    metrics = sum(metric.enabled for metric in settings.metrics.values())
    rules = sum(rule.enabled for rule in settings.log_rules.values())
    return Line(
        "ok",
        "settings",
        f"{metrics} metrics and {rules} log rules are on; {own}{variables} variables are set",
    )


def _used(what: str, examine: Callable[[], Found], *, needed: bool = True) -> Found:
    """What ``examine`` finds, or one line when the Airflow connection is not there or not usable."""
    try:
        yield from examine()
    except AirflowNotFoundException:
        if needed:
            yield Line(
                "fix",
                what,
                f"is not defined: add the connection to Airflow, or set AIRFLOW_CONN_{what.upper()}",
            )
        else:
            yield Line("note", what, "is not defined; it is optional")
    except (AirflowException, ValueError) as error:
        # The text may quote the connection.
        yield Line(
            "fix", what, f"is not usable ({type(error).__name__}): check the connection's type and extra"
        )


def _connect(conn_id: str) -> Callable[[], Any]:
    BaseHook.get_connection(conn_id)  # the hook would look for it only when it connects
    return connections.mysql_connect(conn_id)


def _slack(settings: Settings, *, send: bool) -> Found:
    conn_id = settings.connections.slack
    yield from checkup.slack(conn_id, connections.slack_client(conn_id), settings, send=send)


def _store_connect(settings: Settings) -> Callable[[], Any]:
    BaseHook.get_connection(settings.connections.store)
    return connections.store_connect(settings)


def _repairer(settings: Settings) -> Found:
    ids = settings.connections
    try:
        with snapshot(_connect(ids.mysql_write), settings.schedule.statement_timeout) as opened:
            yield from checkup.repairer(ids.mysql_write, opened)
    except SourceUnavailable as error:
        yield Line("fix", ids.mysql_write, settings.named(str(error)).replace(ids.mysql, ids.mysql_write))


def _artisan(conn_id: str) -> Found:
    BaseHook.get_connection(conn_id)  # one that is not there is no fault
    try:
        enabled = connections.laravel(conn_id).features().get("processing_time_enabled")
    except Refused as refused:
        yield Line("fix", conn_id, str(refused))
    else:
        yield Line("ok", conn_id, f"the application answers: processing time is {'on' if enabled else 'off'}")


def _reachable(conn_id: str, port: int) -> Found:
    connection = BaseHook.get_connection(conn_id)
    yield checkup.reachable(conn_id, connection.host, connection.port or port)


if __name__ == "__main__":
    raise SystemExit(main())
