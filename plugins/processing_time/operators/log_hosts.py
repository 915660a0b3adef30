# SPDX-License-Identifier: MIT
"""The log of several hosts: a task for each of them, on its own worker, and one that puts their counts together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, TaskGroup

from processing_time.operators import run
from processing_time.operators.health_check import CheckOperator, CollectOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from processing_time.settings import Settings
    from processing_time.sources.laravel_log import Counted

GROUP = "read_log"
PAUSE = 2.0
"""Seconds between two looks."""
_ENDED = frozenset({"success", "failed", "upstream_failed", "skipped", "removed"})
"""States of a task that will not answer any more than it has."""


def collect_log(settings: Settings, beside: Sequence[BaseOperator]) -> BaseOperator:
    """The task ``collect_log`` of the DAG that is being made; with hosts, those before it that read their logs.

    :param beside: tasks that any worker can do; when one of them is done, the waiting for the hosts begins.
    """
    hosts = settings.application.log_hosts
    if not hosts:
        return CollectOperator(task_id="collect_log", source="log")
    with TaskGroup(GROUP, tooltip="The log of each host, counted on its own worker"):
        read = [
            # When it breaks, the check tells that this host is missing; the others are watched.
            ReadLogOperator(task_id=name, host=name, queue=host.queue, on_failure_callback=None)
            for name, host in hosts.items()
        ]
    # It waits by itself: one of the hosts may never answer. Those beside it are for the case that none does.
    collect = CollectLogHosts(task_id="collect_log", trigger_rule="one_done")
    [*read, *beside] >> collect
    return collect


class ReadLogOperator(CheckOperator):
    """Count what the log of one host holds. A log that cannot be read costs that host only.

    :param host: its name in ``application.log_hosts``.
    """

    template_fields: Sequence[str] = (*CheckOperator.template_fields, "host")

    def __init__(self, *, host: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.host = host

    def part(self, context: Context) -> dict[str, Any]:
        """Give ``{"counted": …}``, or ``{"unavailable": sentence}``."""
        from processing_time.model import SourceUnavailable
        from processing_time.sources import laravel_log

        settings = self.settings()
        timeline = self.timeline(run.as_of(context, settings), settings, "log")
        try:
            counted = laravel_log.count(
                settings,
                timeline,
                settings.application.log_hosts[self.host].logs or settings.application.logs,
                present=run.present(),
                need_since=self.need_since(timeline, settings),
            )
        except SourceUnavailable as error:
            return self.unavailable(settings.named(str(error)))
        return {"counted": counted.to_json()}


class CollectLogHosts(CheckOperator):
    """Put the counts of all hosts together; what has not come in time is missing, and fails nothing."""

    def part(self, context: Context) -> dict[str, Any]:
        """Wait for the hosts; give what :class:`CollectOperator` gives."""
        from processing_time.model import SourceUnavailable
        from processing_time.sources import laravel_log

        settings = self.settings()
        until = run.present() + settings.application.log_host_wait
        states = _states(context, settings)
        while not _ENDED.issuperset(states.values()) and run.present() < until:
            self.log.info("Not all hosts have answered: %s", states)
            time.sleep(PAUSE)
            states = _states(context, settings)
        told = {host: _told(context, host, state) for host, state in states.items()}
        timeline = self.timeline(run.as_of(context, settings), settings, "log")
        try:
            earlier = self.store.hosts_read(timeline.windows["since_last_check"].start, timeline.as_of)
            return self.given(laravel_log.combine(settings, timeline, told, earlier))
        except SourceUnavailable as error:
            return self.unavailable(settings.named(str(error)))


def _states(context: Context, settings: Settings) -> dict[str, str | None]:
    """By host, the state of its task in this run. What a task gave before it was cleared is still there: ask for both."""
    instance, run_id = context["ti"], context["dag_run"].run_id
    tasks = {host: f"{GROUP}.{host}" for host in settings.application.log_hosts}
    found = instance.get_task_states(dag_id=instance.dag_id, task_ids=list(tasks.values()), run_ids=[run_id])
    states = found.get(run_id, {})
    return {host: states.get(task) for host, task in tasks.items()}


def _told(context: Context, host: str, state: str | None) -> Counted | str:
    from processing_time.sources.laravel_log import Counted

    task = f"{GROUP}.{host}"
    given = context["ti"].xcom_pull(task_ids=task) if state == "success" else None
    if given is None:
        now = state or "not started"
        return f"the task {task} has not answered, it is {now}: see its log, and whether a worker takes its queue"
    return Counted.from_json(given["counted"]) if "counted" in given else str(given["unavailable"])
