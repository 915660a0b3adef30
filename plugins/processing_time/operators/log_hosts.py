# SPDX-License-Identifier: MIT
"""The log of several hosts: a task for each of them, on its own worker, and one that puts their counts together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, BaseSensorOperator, PokeReturnValue, TaskGroup

from processing_time.operators import run
from processing_time.operators.health_check import CheckOperator, CollectOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from processing_time.settings import Settings
    from processing_time.sources.laravel_log import Counted

GROUP = "read_log"
POKE = 5.0
"""Seconds between two looks."""


def collect_log(settings: Settings) -> BaseOperator:
    """The task ``collect_log`` of the DAG that is being made; with hosts, those before it that read their logs."""
    hosts = settings.application.log_hosts
    if not hosts:
        return CollectOperator(task_id="collect_log", source="log")
    with TaskGroup(GROUP, tooltip="The log of each host, counted on its own worker"):
        read = [ReadLogOperator(task_id=name, host=name, queue=host.queue) for name, host in hosts.items()]
    # At once, whatever becomes of those before it: one of them may wait for a worker that is gone.
    collect = CollectLogHosts(task_id="collect_log", trigger_rule="always")
    read >> collect
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


class CollectLogHosts(CheckOperator, BaseSensorOperator):
    """Put the counts of all hosts together; what has not come in time is missing, and fails nothing."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(mode="reschedule", poke_interval=POKE, **kwargs)

    def part(self, context: Context) -> Any:
        """Look whether all are there; give what :class:`CollectOperator` gives."""
        return BaseSensorOperator.execute(self, context)

    def poke(self, context: Context) -> PokeReturnValue:
        """Done when every host has answered, or the time is over."""
        settings = self.settings()
        pull, hosts = context["ti"].xcom_pull, settings.application.log_hosts
        given = {host: pull(task_ids=f"{GROUP}.{host}") for host in hosts}
        absent = [host for host in hosts if given[host] is None]
        dag_run = context["dag_run"]
        until = (dag_run.start_date or dag_run.run_after) + settings.application.log_host_wait
        if absent and run.present() < until:
            self.log.info("Not there yet: %s", ", ".join(absent))
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=self._together(context, settings, given))

    def _together(
        self, context: Context, settings: Settings, given: Mapping[str, Mapping[str, Any] | None]
    ) -> dict[str, Any]:
        from processing_time.model import SourceUnavailable
        from processing_time.sources import laravel_log

        timeline = self.timeline(run.as_of(context, settings), settings, "log")
        try:
            return self.given(
                laravel_log.combine(settings, timeline, {host: _told(host, g) for host, g in given.items()})
            )
        except SourceUnavailable as error:
            self.log.warning("%s", error)
            return {"unavailable": str(error)}


def _told(host: str, given: Mapping[str, Any] | None) -> Counted | str:
    from processing_time.sources.laravel_log import Counted

    if given is None:
        return f"the task {GROUP}.{host} has not answered: see its log, and whether a worker takes its queue"
    return Counted.from_json(given["counted"]) if "counted" in given else str(given["unavailable"])
