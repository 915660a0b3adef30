# SPDX-License-Identifier: MIT
"""The tasks of the hourly check but for ``escalate``: collect a source, evaluate, give the verdict."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from processing_time.operators import connections, run
from processing_time.operators.monitor import MonitorOperator
from processing_time.severity import Severity

if TYPE_CHECKING:
    from airflow.sdk import Context

    from processing_time.model import Collected, SourceUnavailable, Verdict
    from processing_time.settings import Settings
    from processing_time.timeline import Timeline

log = logging.getLogger(__name__)

Flags = Mapping[str, Any]
COLLECT_TASKS = {"mysql": "collect_database", "log": "collect_log", "redis": "collect_cache"}


class CheckOperator(MonitorOperator):
    """What the tasks of a check share: the timeline of the run."""

    def timeline(self, as_of: datetime, settings: Settings, source: str) -> Timeline:
        """The windows of the check, *since last check* as it holds for one source."""
        from processing_time.timeline import Timeline, previous_tick

        tick = previous_tick(settings.schedule.health_check, settings.zone, as_of)
        since = self.store.since(as_of, source) or tick
        return Timeline(
            as_of,
            settings.zone,
            settings.application_zone,
            max(since, as_of - settings.schedule.max_catch_up),
        )

    def need_since(self, timeline: Timeline, settings: Settings) -> datetime | None:
        """How far back to look for the lines that show the log to be alive, where none are remembered."""
        return None if self.store.sightings() else timeline.as_of - settings.silent_after

    def unavailable(self, why: str) -> dict[str, str]:
        """That nothing was collected, for the next task; and shown in this one's log."""
        self.log.warning("%s", why)
        return {"unavailable": why}

    def given(self, collected: Collected) -> dict[str, Any]:
        """What was collected, for the next task; and shown in this one's log."""
        from processing_time.model import ALL_COMPANIES

        for sample in collected.samples:
            if sample.company_id == ALL_COMPANIES:
                self.log.info("%s = %s %s", sample.metric, sample.value, sample.reason)
        return {"collected": collected.to_json()}


class CollectOperator(CheckOperator):
    """Read one source over the windows of the run.

    A source that cannot be reached is tried again as often as the task may; then its metrics are given as not
    measurable, so that it costs the others nothing. Whatever else goes wrong fails the task.

    :param source: ``mysql``, ``log`` or ``redis``.
    """

    def __init__(self, *, source: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.source = source

    def part(self, context: Context) -> dict[str, Any]:
        """Give what was collected, or why nothing was: ``{"collected": …}`` or ``{"unavailable": sentence}``."""
        from processing_time.model import SourceUnavailable

        settings = self.settings()
        timeline = self.timeline(run.as_of(context, settings), settings, self.source)
        # The flags are told even when the database is not: the summary shows them.
        flags = self._flags(settings, timeline) if self.source == "mysql" else None
        told = {"flags": str(flags) if isinstance(flags, SourceUnavailable) else flags}
        try:
            collected: Collected = getattr(self, f"_{self.source}")(settings, timeline, flags)
        except SourceUnavailable as error:
            instance, why = context["ti"], settings.named(str(error))
            # A log that is not there will not be there in a minute; a server may be.
            if self.source != "log" and instance.try_number <= instance.max_tries:
                raise AirflowException(why) from None
            return {**told, **self.unavailable(why)}
        return {**told, **self.given(collected)}

    def _flags(self, settings: Settings, timeline: Timeline) -> Flags | SourceUnavailable:
        """The flags that this check was made with before, else those of now."""
        from processing_time.model import SourceUnavailable
        from processing_time.sources import feature_flags

        if recorded := self.store.flags(timeline.as_of):
            return recorded
        try:
            return feature_flags.read(settings.application.env_file).to_json()
        except SourceUnavailable as error:
            return error

    def _mysql(self, settings: Settings, timeline: Timeline, flags: Flags | SourceUnavailable) -> Collected:
        from processing_time.model import SourceUnavailable
        from processing_time.sources import database, feature_flags

        return database.collect(
            self.mysql(),
            settings,
            timeline,
            flags if isinstance(flags, SourceUnavailable) else feature_flags.FeatureFlags.from_json(flags),
            [
                database.Watermark(at, ids["appointments"], ids["phases"])
                for at, ids in self.store.watermarks(timeline.as_of)
            ],
        )

    def _log(self, settings: Settings, timeline: Timeline, _: object) -> Collected:
        from processing_time.sources import laravel_log

        need_since = self.need_since(timeline, settings)
        return laravel_log.collect(settings, timeline, present=run.present(), need_since=need_since)

    def _redis(self, settings: Settings, timeline: Timeline, _: object) -> Collected:
        from processing_time.sources import cache

        return cache.collect(connections.redis_client(settings.connections.redis), settings, timeline)


class EvaluateOperator(CheckOperator):
    """Judge what was collected, keep it, and give the verdicts with the summary.

    :param collect_task_ids: by source name, the task that read it.
    """

    def __init__(self, *, collect_task_ids: Mapping[str, str] = COLLECT_TASKS, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.collect_task_ids = collect_task_ids

    def part(self, context: Context) -> dict[str, Any]:
        """Give ``{"verdicts": […], "summary": {…}}``: the verdicts on all companies, and those that may alert."""
        from processing_time.evaluation import believable, evaluate, glob_sightings, measured_whole
        from processing_time.model import ALL_COMPANIES, Collected
        from processing_time.summary import summarise

        settings = self.settings()
        as_of = run.as_of(context, settings)
        settings = run.with_mutes(settings, self.store, as_of)
        given = {
            source: context["ti"].xcom_pull(task_ids=task_id)
            for source, task_id in self.collect_task_ids.items()
        }
        memory = self.store.memory(as_of)
        collected = believable(
            {source: _collected(given[source], self.collect_task_ids[source]) for source in given},
            memory,
            settings,
            as_of,
        )
        facts = {source: dict(c.facts) for source, c in collected.items() if isinstance(c, Collected)}
        if "log" in facts:
            seen = glob_sightings(facts["log"], as_of)
            facts["log"]["sightings"] = {**facts["log"].get("sightings", {}), **seen}
        flags: Flags | str = (given.get("mysql") or {}).get("flags") or "they were not read"
        # The log's own start is that of *since last check*: no other source's metric uses that window.
        timeline = self.timeline(as_of, settings, "log")
        known_flags = flags if isinstance(flags, Mapping) else {}
        verdicts = evaluate(collected, known_flags, memory, settings, timeline, run.present())
        summary = summarise(verdicts, facts, flags, settings, timeline)
        if run.dry(context):
            self.log.info("Dry run: nothing is kept.")
        else:
            self.store.save_check(
                as_of=as_of,
                dag_run_id=context["dag_run"].run_id,
                verdicts=verdicts,
                state=summary.state,
                flags=known_flags,
                facts=facts,
                sources=measured_whole(facts),
            )
        alerting = [
            v for v in verdicts if v.company_id == ALL_COMPANIES or settings.rule(v.metric).alert_per_company
        ]
        return {"verdicts": [v.to_json() for v in alerting], "summary": summary.to_json()}


class VerdictOperator(MonitorOperator):
    """Write the summary to the task log; fail when something is at or above ``fail_run_on``.

    :param evaluate_task_id: the task that gave verdicts and summary.
    :param escalate_task_id: the task that gave the open alerts.
    """

    def __init__(
        self, *, evaluate_task_id: str = "evaluate", escalate_task_id: str = "escalate", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.evaluate_task_id = evaluate_task_id
        self.escalate_task_id = escalate_task_id

    def execute(self, context: Context) -> None:
        """Show the check.

        :raises AirflowFailException: when a finding is severe enough; muted ones do not count, acknowledged do.
        """
        from processing_time.model import Verdict
        from processing_time.summary import Summary, table

        settings = self.settings()
        evaluated = context["ti"].xcom_pull(task_ids=self.evaluate_task_id)
        escalated = context["ti"].xcom_pull(task_ids=self.escalate_task_id) or {}
        self.log.info("\n%s", table(Summary.from_json(evaluated["summary"])))
        if not run.dry(context):
            beat(settings.heartbeat_url)
        severe = severe_findings(
            [Verdict.from_json(v) for v in evaluated["verdicts"]],
            escalated.get("open", []),
            settings.fail_run_on,
        )
        if severe:
            raise AirflowFailException(f"at or above {settings.fail_run_on}: {', '.join(severe)}")


def severe_findings(
    verdicts: Sequence[Verdict], open_alerts: Sequence[Mapping[str, Any]], least: Severity
) -> list[str]:
    """The findings of this check at or above a severity: bad verdicts, and alerts about lost measurements.

    :param open_alerts: ``{"rule", "severity", "seen"}`` of each open alert; one not seen in this check is old news.
    """
    found: dict[str, Severity] = {}
    for v in verdicts:
        if v.state.bad and not v.muted and v.severity and v.severity.rank >= least.rank:
            found[v.metric] = max(found.get(v.metric, v.severity), v.severity, key=lambda s: s.rank)
    for alert in open_alerts:
        severity = Severity(alert["severity"])
        if alert["rule"].endswith(".unknown") and alert["seen"] and severity.rank >= least.rank:
            found[alert["rule"]] = severity
    return [f"{rule} ({severity})" for rule, severity in found.items()]


def beat(url: str | None) -> None:
    """Tell a dead man's switch that a check has finished. A switch that does not answer spoils nothing."""
    if not url:
        return
    import httpx

    # The address may hold a token, and httpx writes each address that it calls into the log.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        httpx.get(url, timeout=5, follow_redirects=True).raise_for_status()
    except httpx.HTTPError as error:
        log.warning("The heartbeat was not taken (%s): check heartbeat_url", type(error).__name__)


def _collected(given: Mapping[str, Any] | None, task_id: str) -> Collected | str:
    from processing_time.model import Collected

    if given is None:
        return f"{task_id} did not finish: see its log"
    if "unavailable" in given:
        return str(given["unavailable"])
    return Collected.from_json(given["collected"])
