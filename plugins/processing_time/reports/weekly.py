# SPDX-License-Identifier: MIT
"""The weekly report as a document: the figures beside the week before, the guide's checklist, answered, and the details."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from processing_time.evaluation import judge
from processing_time.model import Sample, SourceUnavailable, State
from processing_time.reports import weekly_tables
from processing_time.reports.charts import Bound, Panel, Series, draw
from processing_time.reports.document import (
    Answer,
    Checklist,
    Figure,
    Item,
    Judgement,
    Picture,
    Report,
)
from processing_time.reports.language import Language
from processing_time.reports.weekly_figures import ADOPTION, SHARE, Figures, day
from processing_time.reports.weekly_rows import IDS_SHOWN
from processing_time.reports.weekly_trend import compare
from processing_time.settings import Settings
from processing_time.store_reports import Trend

SHOWN = (
    *("phase_creation_success_rate", "calcom_sync_success_rate", "orphaned_appointments"),
    *("overlapping_bookings", "phase_distribution", "phase_creation_time", "availability_cache_hit_rate"),
)
"""The metrics of the report, the weightiest first; one that is disabled is left out."""
NAMES_SHOWN = 8


class Weekly:
    """The weekly report in a language.

    :param as_of: what is said of alerts that are still open holds at this instant; UTC.
    """

    def __init__(self, figures: Figures, settings: Settings, language: Language, as_of: datetime) -> None:
        self._figures, self._settings, self._language = figures, settings, language
        self._as_of = as_of
        self._keys = [k for k in SHOWN if k in settings.metrics and settings.metrics[k].enabled]
        if figures.company_id is not None:
            self._keys = [k for k in self._keys if settings.metrics[k].source == "mysql"]

    def report(self) -> Report:
        """The document, its chart drawn."""
        week, language = self._figures.week, self._language
        headline, judgement = self._headline()
        title = language.say("Processing Time, week {week}", week=week.number)
        if not week.whole:
            title = language.say("Processing Time, seven days")
        if company := self._figures.company_id:
            title += " · " + language.say("company {company}", company=company)
        name = f"weekly-{week.first.isoformat()}"
        return Report(
            name=f"{name}-company-{company}" if company else name,
            language=language.code,
            title=title,
            period=language.period(week.first, week.last),
            headline=headline,
            judgement=judgement,
            figures=(*map(self._figure, self._keys), *self._usage(), *self._attention()),
            pictures=self._pictures(),
            parts=(
                self._checklist(),
                *weekly_tables.tables(self._figures, self._settings, language, self._as_of),
            ),
            notes=tuple(self._notes()),
        )

    # --- the figures ----------------------------------------------------------------------------------------

    def _figure(self, key: str) -> Figure:
        metric, language = self._settings.metrics[key], self._language
        sample, state = self._figures.sample(key), self._state(key)
        change, judgement = self._change(key)
        return Figure(
            label=language.say(metric.title),
            value=self.value(key, sample.value),
            before=self._before(key),
            change=change,
            judgement=judgement,
            target=self.target(key),
            met=None if state in (State.UNKNOWN, State.INSUFFICIENT_DATA) else state is State.OK,
            note=self._note(key),
        )

    def _note(self, key: str) -> str:
        sample, metric, language = self._figures.sample(key), self._settings.metrics[key], self._language
        if sample.loss or sample.value is None:
            return language.say("not measured: {reason}", reason=sample.reason or language.say("no data"))
        if metric.kind == "rate" and sample.denominator is not None:
            return language.say(
                "{good} of {all} {population}",
                good=language.number(sample.numerator or 0),
                all=language.number(sample.denominator),
                population=language.unit(metric.population),
            )
        return language.say(
            "out of {all} {population}",
            all=language.number(sample.denominator or 0),
            population=language.unit(metric.population),
        )

    def _change(self, key: str) -> tuple[str, Judgement]:
        """The change against the week before, and whether it is good; neither where chance would do."""
        row, before = self._figures.row(key), self._figures.previous(key)
        if row is None or row.value is None or before is None or before.value is None:
            return "", Judgement.NEUTRAL
        difference = row.value - before.value
        text = self.value(key, difference, signed=True)
        trend = compare(row, before, self._settings)
        if trend is Trend.FLAT and difference:
            return self._language.say("{change}, within chance", change=text), Judgement.NEUTRAL
        if trend in (Trend.FLAT, Trend.TOO_FEW):
            return text, Judgement.NEUTRAL
        better = key not in self._settings.metrics or self._settings.metrics[key].better == "higher"
        return text, Judgement.GOOD if (trend is Trend.UP) == better else Judgement.BAD

    def _before(self, key: str) -> str:
        before = self._figures.previous(key)
        return "" if before is None or before.value is None else self.value(key, before.value)

    def _usage(self) -> Iterator[Figure]:
        """Who uses it: how many appointments, their share, how many services."""
        language = self._language
        rate = self._figures.sample("phase_creation_success_rate")
        before = self._figures.previous("phase_creation_success_rate")
        if rate.denominator is not None:
            total, earlier = rate.denominator, before.denominator if before else None
            yield Figure(
                label=language.say("Appointments with processing time"),
                value=language.number(total),
                before="" if earlier is None else language.number(earlier),
                change="" if earlier is None else language.signed(total - earlier),
            )
        labels = {
            SHARE: language.say("Share of all appointments"),
            ADOPTION: language.say("Services using processing time"),
        }
        for key, label in labels.items():
            sample = self._figures.sample(key)
            change, judgement = self._change(key)
            yield Figure(
                label=label,
                value=self.value(key, sample.value),
                before=self._before(key),
                change=change,
                judgement=judgement,
                note=language.say(
                    "{part} of {all}",
                    part=language.number(sample.numerator or 0),
                    all=language.number(sample.denominator or 0),
                )
                if not sample.loss
                else language.say("not measured: {reason}", reason=sample.reason),
            )

    def _attention(self) -> Iterator[Figure]:
        """What took people's attention: alerts, and hours without sight."""
        language, window = self._language, self._figures.week.window
        opened = [a for a in self._figures.alerts if window.start <= a.opened_at < window.end]
        still = [a for a in self._figures.alerts if a.resolved_at is None or a.resolved_at > self._as_of]
        yield Figure(
            language.say("Alerts opened"),
            language.number(len(opened)),
            note=language.count("{n} is still open", "{n} are still open", len(still)),
        )
        hours = sum(blind.hours for blind in self._figures.blind)
        yield Figure(
            language.say("Hours in which monitoring was blind"),
            language.number(hours) if self._figures.watched else "–",
            target="" if not self._figures.watched else language.say("target {bound}", bound="0"),
            met=hours == 0 if self._figures.watched else None,
            note="" if self._figures.watched else language.say("there was no check yet"),
        )

    def value(self, key: str, value: float | None, *, signed: bool = False) -> str:
        """A value of a metric with its unit; a dash where there is none."""
        if value is None:
            return "–"
        metric = self._settings.metrics.get(key)
        unit = metric.unit if metric else "%"
        digits = {"%": 2, "ms": 1}.get(unit, 0)
        # The difference of two percentages is in points.
        shown = self._language.say("points") if signed and unit == "%" else unit
        if unit not in ("%", "ms"):
            return self._language.signed(value) if signed else self._language.number(value)
        return self._language.quantity(value, shown, digits, signed=signed)

    def target(self, key: str) -> str:
        """The target of a metric, in words."""
        metric = self._settings.metrics[key]
        if metric.target is None:
            return ""
        return self._language.say("target {bound}", bound=self._bound(key))

    def _bound(self, key: str) -> str:
        metric = self._settings.metrics[key]
        target = metric.target or 0
        sign = ">" if metric.better == "higher" else "≤" if metric.alert == metric.target else "<"
        digits = 0 if target == int(target) else 1
        unit = metric.unit if metric.unit in ("%", "ms") else ""
        number = self._language.quantity(target, unit, digits) if unit else self._language.number(target)
        return number if sign == "≤" and not target else f"{sign}\u00a0{number}"

    def _state(self, key: str) -> State:
        return judge(self._figures.sample(key), self._settings).state

    # --- what a manager reads -------------------------------------------------------------------------------

    def _headline(self) -> tuple[str, Judgement]:
        language = self._language
        if isinstance(self._figures.rows, SourceUnavailable):
            reason = str(self._figures.rows)
            return language.say("The appointments could not be read: {reason}", reason=reason), Judgement.BAD
        states = {key: self._state(key) for key in self._keys}
        judged = [k for k, s in states.items() if s not in (State.UNKNOWN, State.INSUFFICIENT_DATA)]
        missed = [k for k in judged if states[k] is not State.OK]
        if not judged:
            return language.say("There was too little to measure in these seven days."), Judgement.NEUTRAL
        if not missed:
            met = language.count(
                "The one target that could be measured was met.", "All {n} targets were met.", len(judged)
            )
            return self._with_blindness(met), Judgement.GOOD
        named = ", ".join(
            f"{language.say(self._settings.metrics[k].title)} {self.value(k, self._figures.sample(k).value)}"
            for k in missed
        )
        text = language.say(
            "{missed} of {all} targets missed: {named}.", missed=len(missed), all=len(judged), named=named
        )
        return self._with_blindness(text), Judgement.BAD

    def _with_blindness(self, text: str) -> str:
        hours = sum(blind.hours for blind in self._figures.blind)
        if not hours:
            return text
        language = self._language
        more = language.count(
            "Monitoring was blind for {n} hour.", "Monitoring was blind for {n} hours.", hours
        )
        return f"{text} {more}"

    # --- the guide's checklist ------------------------------------------------------------------------------

    def _checklist(self) -> Checklist:
        say = self._language.say
        items = [
            Item(say("Weekly performance report"), *self._reviewed()),
            self._target_item(say("Orphaned appointments"), "orphaned_appointments", self._orphans()),
            self._target_item(say("Phase distribution"), "phase_distribution", self._distribution()),
            self._target_item(say("Overlapping bookings"), "overlapping_bookings", ""),
            Item(say("Service adoption"), *self._adoption()),
        ]
        return Checklist(say("Weekly checklist"), tuple(items))

    def _reviewed(self) -> tuple[Answer, str]:
        headline, judgement = self._headline()
        answers = {Judgement.GOOD: Answer.YES, Judgement.BAD: Answer.NO, Judgement.NEUTRAL: Answer.UNKNOWN}
        return answers[judgement], headline

    def _target_item(self, question: str, key: str, more: str) -> Item:
        if key not in self._keys:
            return Item(question, Answer.UNKNOWN, self._language.say("disabled in the settings"))
        state, sample = self._state(key), self._figures.sample(key)
        if state is State.UNKNOWN or sample.value is None:
            return Item(question, Answer.UNKNOWN, self._note(key))
        value, note = self.value(key, sample.value), self._note(key)
        unit = self._settings.metrics[key].unit
        evidence = f"{value} ({self.target(key)}), {note}" if unit == "%" else f"{value} ({note})"
        answer = {State.OK: Answer.YES, State.INSUFFICIENT_DATA: Answer.UNKNOWN}.get(state, Answer.NO)
        return Item(question, answer, ". ".join(filter(None, (evidence, more))))

    def _orphans(self) -> str:
        rows = self._figures.rows
        if isinstance(rows, SourceUnavailable):
            return ""
        ids = [id_ for company, id_ in rows.orphans if self._figures.about(company)][:IDS_SHOWN]
        left = int(self._figures.sample("orphaned_appointments").value or 0) - len(ids)
        if not ids:
            return ""
        shown = self._language.say("newest ids: {ids}", ids=", ".join(map(str, ids)))
        return shown + (f" {self._and_more(left)}" if left > 0 else "")

    def _distribution(self) -> str:
        detail = self._figures.sample("phase_distribution").detail
        language = self._language
        return ", ".join(
            language.say(
                "{phase} {share} (expected {expected})",
                phase=language.say(phase),
                share=language.quantity(detail["shares"].get(phase, 0.0), "%", 1),
                expected=language.quantity(expected, "%", 1),
            )
            for phase, expected in detail.get("expected_shares", {}).items()
        )

    def _adoption(self) -> tuple[Answer, str]:
        language, adoption = self._language, self._figures.adoption()
        services, share = self._figures.sample(ADOPTION), self._figures.sample(SHARE)
        if adoption is None:
            return Answer.UNKNOWN, language.say("not measured: {reason}", reason=services.reason)
        text = language.say(
            "{used} of {all} services used it, {share} of all appointments",
            used=language.number(services.numerator or 0),
            all=language.number(services.denominator or 0),
            share=self.value(SHARE, share.value),
        )
        for label, ids in ((language.say("new"), adoption.new), (language.say("dropped"), adoption.dropped)):
            text += f"; {label}: {self._names(ids)}"
        return Answer.YES if adoption.used else Answer.NO, text

    def _names(self, ids: frozenset[int | str]) -> str:
        names = sorted(weekly_tables.service_name(self._figures, id_) for id_ in ids)
        if not names:
            return self._language.say("none")
        left = len(names) - NAMES_SHOWN
        return ", ".join(names[:NAMES_SHOWN]) + (f" {self._and_more(left)}" if left > 0 else "")

    def _and_more(self, left: int) -> str:
        return self._language.say("and {n} more", n=self._language.number(left))

    # --- the chart ------------------------------------------------------------------------------------------

    def _pictures(self) -> tuple[Picture, ...]:
        if isinstance(self._figures.rows, SourceUnavailable):
            return ()
        language = self._language
        labels = [language.weekday(date) for date in self._figures.week.dates]
        rates = [k for k in ("phase_creation_success_rate", "calcom_sync_success_rate") if k in self._keys]
        panels = [self._appointments(), *map(self._by_day, rates)]
        title = language.say("The week by day")
        alt = language.say(
            "Charts by day: {panels}. The numbers are in the report.",
            panels=", ".join(p.title for p in panels),
        )
        return (draw(title, alt, labels, panels, language),)

    def _appointments(self) -> Panel:
        language = self._language
        found = [self._day("phase_creation_success_rate", n) for n in range(len(self._figures.days))]
        with_phases = tuple(s.numerator if s else 0 for s in found)
        without = tuple((s.denominator or 0) - (s.numerator or 0) if s else 0 for s in found)
        return Panel(
            language.say("Appointments with processing time"),
            "appointments",
            (
                Series(language.say("with phases"), with_phases),
                Series(language.say("without phases"), without),
            ),
            kind="bars",
        )

    def _by_day(self, key: str) -> Panel:
        metric, language = self._settings.metrics[key], self._language
        title = language.say(metric.title)
        found = [self._day(key, n) for n in range(len(self._figures.days))]
        bounds = ((language.say("target"), metric.target), (language.say("alert"), metric.alert))
        return Panel(
            title,
            metric.unit,
            (Series(title, tuple(s.value if s else None for s in found)),),
            tuple(
                Bound(f"{name} {language.number(level)}", level)
                for name, level in bounds
                if level is not None
            ),
            top=100.5,
        )

    def _day(self, key: str, place: int) -> Sample | None:
        if key not in self._settings.metrics:
            return None
        figures = self._figures
        return day(figures.days[place], key, figures.week.days[place], figures.company, self._settings)

    def _notes(self) -> Iterator[str]:
        language, week = self._language, self._figures.week
        hours = week.window.length.total_seconds() / 3600
        yield language.say(
            "Counted from {start} to {end} ({zone}), {hours} hours, by when an appointment was created; phases and sync"
            " states as they were when this was made.",
            start=language.clock(week.window.start),
            end=language.clock(week.window.end),
            zone=self._settings.timezone,
            hours=language.number(hours),
        )
        yield from self._figures.doubts
        kept = {
            k: m
            for (k, c), m in self._figures.measured.items()
            if c == self._figures.company and m.samples > 1
        }
        for key in (k for k in self._keys if k in kept):
            yield language.say(
                "{metric}: put together from {n} checks, because the log no longer holds the whole week.",
                metric=language.say(self._settings.metrics[key].title),
                n=language.number(kept[key].samples),
            )
