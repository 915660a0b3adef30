# SPDX-License-Identifier: MIT
"""The first page as data: how it is now, what alerts, each metric with its lines, the phases of the day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from urllib.parse import quote

from processing_time.evaluation import threshold_text
from processing_time.messages.context import LEVELS, Context, elapsed
from processing_time.model import ALL_COMPANIES, Alert, AlertState, State, Verdict
from processing_time.page import lines
from processing_time.page.hours import Hours, hours
from processing_time.page.lines import Line
from processing_time.page.status import DAG, Status, status
from processing_time.page.words import near, quantity, title, unit
from processing_time.settings import LogRule, Settings
from processing_time.store_page import Overview, PageStore
from processing_time.store_rows import Check
from processing_time.summary import Summary, summarise, window_text
from processing_time.timeline import Timeline, midnight


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """An alert that stands open. Links are empty where there is nothing to lead to.

    :param run: Airflow's page of the check that saw it last, relative to the status page.
    """

    title: str
    severity: str
    level: str
    age: str
    opened: str
    taken: str
    thread: str
    run: str
    runbook: str


@dataclass(frozen=True, slots=True)
class MetricRow:
    """A metric or rule: what it is, and where it has been."""

    key: str
    title: str
    value: str
    state: State
    severity: str
    threshold: str
    window: str
    reason: str
    runbook: str
    week: Line
    months: Line


@dataclass(frozen=True, slots=True)
class OverviewPage:
    """Everything that the first page shows.

    :param facts: what the real-time health check prints, a line each.
    :param left_out: how many open alerts are not listed.
    :param owed: messages that Slack has not taken yet.
    """

    status: Status
    facts: tuple[str, ...]
    run: str
    alerts: tuple[OpenAlert, ...]
    left_out: int
    owed: int
    metrics: tuple[MetricRow, ...]
    hours: Hours | None


def watched(settings: Settings) -> list[str]:
    """The enabled metrics and rules, in the order of the settings."""
    rules = {**settings.metrics, **settings.log_rules}
    return [key for key, rule in rules.items() if rule.enabled]


def read(store: PageStore, settings: Settings, present: datetime) -> OverviewPage:
    """The first page as it is at the present time.

    :raises StoreError: when the store cannot be used.
    """
    zone = settings.zone
    week = lines.week_start(present, zone)
    months = lines.months_until(present, zone)
    rows = store.overview(watched(settings), week, lambda at: midnight(at, zone), months)
    return page(rows, settings, present, week, months)


def page(
    rows: Overview, settings: Settings, present: datetime, week: datetime, months: Sequence[date]
) -> OverviewPage:
    """The first page, out of rows of the store.

    :param week: where the seven days begin; UTC.
    :param months: the first days of the months on the long axis.
    """
    newest, check = rows.newest, rows.newest.check
    at = check.as_of if check else present
    timeline = Timeline(at, settings.zone, settings.application_zone, at)
    context = Context(settings, at, _summary(check, newest.verdicts, settings, timeline))
    verdicts = {v.metric: v for v in newest.verdicts}
    alerts = {a.id: a for a in (*rows.incidents, *newest.open_alerts) if a.company_id == ALL_COMPANIES}
    marked = lines.by_rule(alerts.values())

    def row(key: str) -> MetricRow:
        own = marked.get(key, [])
        drawn = lines.week(key, rows.points.get(key, ()), own, settings, week, at)
        long = lines.months(key, rows.months.get(key, ()), own, settings, months, at)
        return _metric(key, verdicts.get(key), context, drawn, long)

    return OverviewPage(
        status=status(check, newest.verdicts, settings, present),
        facts=tuple(context.summary.lines) if check else (),
        run=_run(check.dag_run_id, settings) if check else "",
        alerts=tuple(_alert(a, rows, context, present) for a in newest.open_alerts),
        left_out=newest.open_count - len(newest.open_alerts),
        owed=newest.owed,
        metrics=tuple(map(row, watched(settings))) if check else (),
        hours=hours(rows.counts, midnight(at, settings.zone), settings),
    )


def _summary(
    check: Check | None, verdicts: Sequence[Verdict], settings: Settings, timeline: Timeline
) -> Summary:
    if check is None:
        return summarise((), {}, "no check yet", settings, timeline)
    return summarise(verdicts, check.facts, check.flags or {}, settings, timeline)


def _metric(key: str, verdict: Verdict | None, context: Context, week: Line, months: Line) -> MetricRow:
    settings = context.settings
    state = verdict.state if verdict else State.UNKNOWN
    reason = (
        "; ".join(p for p in (verdict.reason, verdict.muted) if p) if verdict else "not in the newest check"
    )
    return MetricRow(
        key=key,
        title=title(key, settings),
        value=quantity(verdict.sample.value if verdict else None, unit(key, settings)),
        state=state,
        severity=str(verdict.severity or "") if verdict else "",
        threshold=verdict.threshold if verdict else threshold_text(settings.rule(key)),
        window=_window(key, verdict, context),
        reason=reason,
        runbook=context.runbook(key),
        week=week,
        months=months,
    )


def _window(key: str, verdict: Verdict | None, context: Context) -> str:
    if verdict is None:
        return ""
    rule = context.settings.rule(key)
    text = window_text(verdict.sample.window, context.timeline)
    return f"most in a stretch, {text}" if isinstance(rule, LogRule) and rule.within else text


def _alert(alert: Alert, rows: Overview, context: Context, present: datetime) -> OpenAlert:
    settings = context.settings
    taken = ""
    if alert.state is AlertState.ACKNOWLEDGED:
        since = f" at {near(alert.acknowledged_at, present, settings)}" if alert.acknowledged_at else ""
        taken = f"{context.who(alert.acknowledged_by)}{since}"
    base = settings.slack.workspace_url.rstrip("/")
    thread = ""
    if alert.slack_channel and alert.slack_ts:
        thread = f"{base}/archives/{alert.slack_channel}/p{alert.slack_ts.replace('.', '')}"
    run = rows.runs.get(alert.last_seen_at)
    return OpenAlert(
        title=context.rule(alert.rule, alert.company_id),
        severity=str(alert.severity),
        level=LEVELS[alert.level],
        age=elapsed(present - alert.opened_at),
        opened=near(alert.opened_at, present, settings),
        taken=taken,
        thread=thread,
        run=_run(run, settings) if run else "",
        runbook=context.runbook(alert.rule),
    )


def _run(dag_run_id: str, settings: Settings) -> str:
    airflow = "../../" if settings.target else "../"
    return f"{airflow}dags/{settings.dag_id(DAG)}/runs/{quote(dag_run_id, safe='')}"
