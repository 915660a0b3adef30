# SPDX-License-Identifier: MIT
"""The log of several hosts: a task for each of them, on its own worker, and one that puts their counts together."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
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


def collect_log(settings: Settings, beside: Sequence[BaseOperator]) -> BaseOperator:
    """The task ``collect_log`` of the DAG that is being made; with hosts, those before it that read their logs.

    :param beside: tasks that any worker can do; when one of them is done, the waiting for the hosts begins.
    """
    hosts = settings.application.log_hosts
    if not hosts:
        return CollectOperator(task_id="collect_log", source="log")
    with TaskGroup(GROUP, tooltip="The log of each host, counted on its own worker"):
        read = [ReadLogOperator(task_id=name, host=name, queue=host.queue) for name, host in hosts.items()]
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
            self.log.warning("%s", error)
            return {"unavailable": str(error)}
        return {"counted": counted.to_json()}


class CollectLogHosts(CheckOperator):
    """Put the counts of all hosts together; what has not come in time is missing, and fails nothing."""

    def part(self, context: Context) -> dict[str, Any]:
        """Wait for the hosts; give what :class:`CollectOperator` gives."""
        settings, dag_run = self.settings(), context["dag_run"]
        until = (dag_run.start_date or dag_run.run_after) + settings.application.log_host_wait
        answers = _answers(context, settings)
        while None in answers.values() and run.present() < until:
            self.log.info("Not there yet: %s", ", ".join(h for h, given in answers.items() if given is None))
            time.sleep(PAUSE)
            answers = _answers(context, settings)
        return self._together(
            context, settings, {host: _told(host, given) for host, given in answers.items()}
        )

    def _together(
        self, context: Context, settings: Settings, told: Mapping[str, Counted | str]
    ) -> dict[str, Any]:
        from processing_time.model import SourceUnavailable
        from processing_time.sources import laravel_log

        timeline = self.timeline(run.as_of(context, settings), settings, "log")
        try:
            return self.given(laravel_log.combine(settings, timeline, told))
        except SourceUnavailable as error:
            self.log.warning("%s", error)
            return {"unavailable": str(error)}


def _answers(context: Context, settings: Settings) -> dict[str, Mapping[str, Any] | None]:
    pull = context["ti"].xcom_pull
    return {host: pull(task_ids=f"{GROUP}.{host}") for host in settings.application.log_hosts}


def _told(host: str, given: Mapping[str, Any] | None) -> Counted | str:
    from processing_time.sources.laravel_log import Counted

    if given is None:
        return f"the task {GROUP}.{host} has not answered: see its log, and whether a worker takes its queue"
    return Counted.from_json(given["counted"]) if "counted" in given else str(given["unavailable"])
