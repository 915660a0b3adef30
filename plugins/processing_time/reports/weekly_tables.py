# SPDX-License-Identifier: MIT
"""The tables of the weekly report: phases, services, bookings by day, baselines, alerts, blind hours."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from statistics import median

from processing_time.messages.context import rule_text
from processing_time.model import ALL_COMPANIES, Alert, SourceUnavailable
from processing_time.reports.document import Table
from processing_time.reports.language import Language
from processing_time.reports.monthly_figures import Id, Use
from processing_time.reports.weekly_figures import Figures
from processing_time.reports.weekly_words import Words

ROWS_SHOWN = 200
"""Rows of a table; a page with more is not read."""
NAMES_SHOWN = 6
"""Names in one cell."""


def tables(words: Words, as_of: datetime) -> list[Table]:
    """All tables, in the order of the report.

    :param as_of: whether an alert is still open is said of this instant.
    """
    return [
        _phases(words),
        _services(words),
        _bookings(words),
        _baselines(words),
        _alerts(words, as_of),
        _blind(words),
    ]


def service_name(figures: Figures, id_: Id | None) -> str:
    """What a service is called; its id where it has no name."""
    return "–" if id_ is None else figures.rows.names.get(id_, str(id_))


def _phases(words: Words) -> Table:
    figures, language, say = words.figures, words.language, words.language.say
    detail = figures.sample("phase_distribution").detail
    counts, expected = detail.get("counts", {}), detail.get("expected_shares", {})
    rows = tuple(
        (
            say(phase),
            language.number(counts.get(phase, 0)),
            language.quantity(detail["shares"].get(phase, 0.0), "%", 2),
            language.quantity(expected[phase], "%", 2) if phase in expected else "–",
            language.quantity(detail["deviations"][phase], "%", 2) if phase in detail["deviations"] else "–",
        )
        for phase in sorted({*counts, *expected}, key=phase_order)
    )
    head = (say("Phase"), say("Count"), say("Share"), say("Expected"), say("Deviation"))
    return Table(
        say("Phase distribution"), head, rows, frozenset({1, 2, 3, 4}), empty=say("No phases in this week.")
    )


def phase_order(phase: str) -> tuple[int, str]:
    """The order in which phases follow each other; others come last."""
    known = ("initial", "processing", "final")
    return (known.index(phase) if phase in known else len(known), phase)


def _services(words: Words) -> Table:
    """Every service with processing time, used or not, the most used first."""
    figures, language, say = words.figures, words.language, words.language.say
    earlier, now = figures.rows.counted
    eligible = () if isinstance(now.eligible, SourceUnavailable) else now.eligible

    with_it = [s for s in now.services.values() if s.has_processing_time and figures.about(now.company(s.id))]
    ordered = sorted(with_it, key=lambda s: (-_appointments(now.uses, s.id), service_name(figures, s.id)))
    rows = [
        (
            service_name(figures, s.id),
            "–" if s.company_id is None else str(s.company_id),
            say("yes") if s.id in set(eligible) else say("no"),
            language.number(_appointments(now.uses, s.id)),
            language.number(_appointments(earlier.uses, s.id)),
        )
        for s in ordered
    ]
    head = (say("Service"), say("Company"), say("Switched on"), say("Appointments"), say("Week before"))
    return _table(
        say("Services with processing time: {n}", n=len(rows)),
        head,
        rows,
        frozenset({3, 4}),
        say("No service has processing time."),
        words,
    )


def _appointments(uses: Mapping[Id | None, Use], id_: Id) -> int:
    return uses[id_].appointments if id_ in uses else 0


def _bookings(words: Words) -> Table:
    figures, language, say = words.figures, words.language, words.language.say
    wanted = figures.rows.overlapping[1].inner.get(figures.company, set())
    by_day: dict[date, list[str]] = defaultdict(list)
    for id_, booking in figures.rows.bookings.items():
        if id_ in wanted:
            by_day[booking.day].append(service_name(figures, booking.service_id))
    rows = [
        (language.day(day), language.number(len(names)), _listed(words, sorted(set(names))))
        for day, names in sorted(by_day.items())
    ]
    head = (say("Day of the booking"), say("Bookings"), say("Services"))
    return _table(
        say("Bookings inside processing phases"),
        head,
        rows,
        frozenset({1}),
        say("None of this week's processing phases was used for another booking."),
        words,
    )


def _baselines(words: Words) -> Table:
    """What the guide expects, beside what was measured."""
    language, say = words.language, words.language.say

    def metric(key: str) -> str:
        metric = words.settings.metrics.get(key)
        value = words.figures.sample(key).value if metric and metric.enabled else None
        return say("not measurable here") if value is None else words.value(key, value)

    def expected(numbers: str, unit: str) -> str:
        return f"{numbers}\u00a0{language.unit(unit)}"

    mean, requests = say("mean of the log's durations"), say("of the log's requests")
    by_name = say("a log metric of that name")
    sync, observer = metric("calcom_sync_time"), metric("observer_overhead")
    rows = (
        (say("Phase creation time"), expected("20–50", "ms"), metric("phase_creation_time"), mean),
        (say("Cache hit rate"), expected("80–90", "%"), metric("availability_cache_hit_rate"), requests),
        (say("Cal.com sync time"), expected("200–500", "ms"), sync, by_name),
        (say("Observer overhead"), expected("< 10", "ms"), observer, by_name),
        (say("Database query time"), expected("< 5", "ms"), *_query_time(words)),
    )
    head = (say("Metric"), say("Expected"), say("Measured"), say("What is measured"))
    return Table(say("Baseline"), head, rows, frozenset({1, 2}))


def _query_time(words: Words) -> tuple[str, str]:
    figures, language = words.figures, words.language
    if not figures.rows.took:
        return language.say("not measurable here"), ""
    took = [1000 * seconds for seconds in figures.rows.took]
    note = language.say(
        "median of this report's {n} statements, which read two weeks; the longest took {longest}",
        n=language.number(len(took)),
        longest=language.quantity(max(took), "ms", 1),
    )
    return language.quantity(median(took), "ms", 1), note


def _alerts(words: Words, as_of: datetime) -> Table:
    language, say = words.language, words.language.say
    rows = [
        (
            _rule(words, alert),
            alert.severity.upper(),
            language.clock(alert.opened_at),
            _since(alert.opened_at, alert.acknowledged_at, language) or "–",
            _resolved(alert, language, as_of),
        )
        for alert in words.figures.alerts
    ]
    head = (say("Alert"), say("Severity"), say("Opened"), say("Acknowledged after"), say("Resolved after"))
    return _table(say("Alerts"), head, rows, frozenset(), say("No alert was open in this week."), words)


def _rule(words: Words, alert: Alert) -> str:
    name = words.language.unit(rule_text(alert.rule, words.settings))
    if alert.company_id == ALL_COMPANIES:
        return name
    return f"{name}, {words.language.say('company {company}', company=alert.company_id)}"


def _resolved(alert: Alert, language: Language, as_of: datetime) -> str:
    if alert.resolved_at is None or alert.resolved_at > as_of:
        return language.say("still open")
    return _since(alert.opened_at, alert.resolved_at, language)


def _since(start: datetime, end: datetime | None, language: Language) -> str:
    return "" if end is None else language.elapsed(max(end - start, timedelta()))


def _blind(words: Words) -> Table:
    figures, language, say = words.figures, words.language, words.language.say
    rows = [
        (
            f"{language.clock(blind.since)}–{blind.until.astimezone(words.settings.zone):%H:%M}",
            language.number(blind.hours),
            _listed(words, [words.title(key) for key in blind.lost]) or say("no check"),
            blind.reason or "–",
        )
        for blind in figures.blind
    ]
    head = (say("When"), say("Hours"), say("What was not seen"), say("Why"))
    empty = say("Every hour of the timetable was watched.")
    if not figures.watched:
        empty = say("No check had finished by the end of this week, so it is not known.")
    return _table(say("Blind hours"), head, rows, frozenset({1}), empty, words)


def _listed(words: Words, names: Sequence[str]) -> str:
    return ", ".join(names[:NAMES_SHOWN]) + words.and_more(len(names) - NAMES_SHOWN)


def _table(
    title: str,
    head: tuple[str, ...],
    rows: Sequence[tuple[str, ...]],
    numeric: frozenset[int],
    empty: str,
    words: Words,
) -> Table:
    note = words.and_more(len(rows) - ROWS_SHOWN).strip()
    return Table(title, head, tuple(rows[:ROWS_SHOWN]), numeric, empty, note)
