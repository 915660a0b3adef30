# SPDX-License-Identifier: MIT
"""The monthly report as a document: what it says of good, bad, few and missing months, and of the roll-out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

import pytest

from processing_time.reports import monthly_chart, page
from processing_time.reports.charts import Panel
from processing_time.reports.document import Answer, Checklist, Item, Judgement, Picture, Report, Table
from processing_time.reports.language import Language
from processing_time.reports.monthly_figures import Counted, Use
from processing_time.reports.monthly_report import report
from processing_time.reports.monthly_rollup import Rollup
from processing_time.reports.monthly_samples import SampleRollup
from processing_time.reports.weekly_figures import SHARE
from processing_time.settings import Settings, load
from processing_time.sources.feature_flags import FeatureFlags
from processing_time.sources.scope import Service
from processing_time.store_reports import Period, Rolled

JULY = date(2026, 7, 1)
RATE, SYNC, HITS = "phase_creation_success_rate", "calcom_sync_success_rate", "availability_cache_hit_rate"
OVERLAPS, ORPHANS = "overlapping_bookings", "orphaned_appointments"
TYPES = ("initial", "processing", "final")
SERVICES = {
    1: Service(1, 4, True, TYPES),
    2: Service(2, 4, True, TYPES),
    3: Service(3, 5, True, TYPES),
    4: Service(4, 5, False, ()),
}
USES = {1: Use(30, 30, 30, 30, 30, Counter(initial=30)), 4: Use(70, 70)}


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load()


@pytest.fixture(autouse=True)
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Panel]]:
    """The panels of each chart, which is not drawn: that takes a second."""
    charts: list[Sequence[Panel]] = []

    def draw(title: str, alt: str, labels: Sequence[str], panels: Sequence[Panel], _: Language) -> Picture:
        assert {len(s.values) for p in panels for s in p.series} == {len(labels)}
        charts.append(panels)
        return Picture(title, alt, *[""] * 4, png=b"")

    monkeypatch.setattr(monthly_chart, "draw", draw)
    return charts


def row(
    metric: str, value: float | None, months: int = 0, company_id: int = 0, volume: float = 1000
) -> Rolled:
    part = 10 * value if value is not None else None
    return Rolled(Period.MONTHLY.step(JULY, months), metric, company_id, value, part, volume, samples=1)


def rollup(*rows: Rolled, **changed: object) -> Rollup:
    blank = Rollup(
        month=JULY,
        rows=rows,
        lost={},
        kept=(),
        samples=SampleRollup((), {}),
        counted=Counted(SERVICES, [1, 2, 3], USES),
        names={1: "Färben <intensiv>"},
        flags=FeatureFlags(configured=True, enabled=True),
    )
    return replace(blank, **changed)  # type: ignore[arg-type]


def made(settings: Settings, now: Rollup, *history: Rolled, code: str = "en") -> Report:
    ordered = sorted(history, key=lambda r: r.period_start)
    return report(now, ordered, settings, Language(code, settings.zone))


def answers(made: Report) -> Mapping[str, Item]:
    (checklist,) = [part for part in made.parts if isinstance(part, Checklist)]
    return {item.question: item for item in checklist.items}


def table(made: Report, title: str) -> Table:
    (found,) = [part for part in made.parts if isinstance(part, Table) and part.title == title]
    return found


def rising(months: int) -> list[Rolled]:
    return [row(OVERLAPS, 100 - 5 * n, -n) for n in range(1, months)]


def test_a_good_month(settings: Settings, drawn: list[Sequence[Panel]]) -> None:
    told = made(settings, rollup(row(RATE, 99.5), row(OVERLAPS, 100)), *rising(7))
    assert told.headline == "2 of 2 targets met. Overlapping bookings: 100, rising."
    assert told.judgement is Judgement.GOOD
    assert (told.title, told.period) == ("Processing Time: July 2026", "1 Jul 2026 – 31 Jul 2026")
    assert [panel.title for panel in drawn[0]] == ["Phase creation success rate", "Overlapping bookings"]
    rate, overlaps = drawn[0]
    assert [(bound.label, bound.value) for bound in rate.bounds] == [("target 99", 99), ("alert 95", 95)]
    assert overlaps.series[0].values == (70, 75, 80, 85, 90, 95, 100)


def test_a_missed_target_is_named(settings: Settings) -> None:
    told = made(settings, rollup(row(RATE, 98.9), row(SYNC, 99.5)))
    assert told.headline == "1 of 2 targets met. Missed: Phase creation success rate 98.90\u00a0%."
    assert told.judgement is Judgement.BAD
    assert "98.90" in answers(told)["Plan optimizations"].evidence
    assert answers(told)["Plan optimizations"].answer is Answer.OPEN


def test_too_little_is_not_judged(settings: Settings) -> None:
    told = made(settings, rollup(row(RATE, 50, volume=4), row(SYNC, None, volume=0)))
    assert told.headline == "Too little was booked or measured to say anything."
    assert [figure.met for figure in told.figures] == [None, None]
    assert told.figures[0].note == "only 4\u00a0appointments: too few to say"
    assert told.figures[1].value == "–"


@pytest.mark.parametrize(
    ("months", "answer"), [(4, Answer.UNKNOWN), (5, Answer.YES), (12, Answer.YES)], ids=str
)
def test_an_increase_of_overlapping_bookings_needs_enough_months(
    settings: Settings, months: int, answer: Answer
) -> None:
    item = answers(made(settings, rollup(row(OVERLAPS, 100)), *rising(months)))[
        "Overlapping bookings increase"
    ]
    assert item.answer is answer
    if answer is Answer.YES:
        assert item.evidence.startswith("+5 a month, rising; chance alone: ")


@pytest.mark.parametrize("values", [[100, 100, 100, 100, 100, 100], [5, 10, 15, 20, 25, 30]], ids=str)
def test_no_increase_is_a_no(settings: Settings, values: list[float]) -> None:
    before = [row(OVERLAPS, value, -n - 1) for n, value in enumerate(values)]
    item = answers(made(settings, rollup(row(OVERLAPS, 1)), *before))["Overlapping bookings increase"]
    assert item.answer is Answer.NO


def test_trends_tell_what_gets_better_and_worse(settings: Settings) -> None:
    worse = [row(ORPHANS, 20 - n, -n) for n in range(1, 8)]
    told = made(settings, rollup(row(OVERLAPS, 100), row(ORPHANS, 20)), *rising(8), *worse)
    item = answers(told)["Analyze performance trends"]
    assert (item.answer, item.evidence) == (
        Answer.NO,
        "Better: Overlapping bookings. Worse: Orphaned appointments.",
    )


def test_the_table_of_trends_has_the_month_before_and_the_same_of_last_year(settings: Settings) -> None:
    history = [row(RATE, 98, -12), row(RATE, 99, -1), *(row(RATE, 98.5, -n) for n in range(2, 12))]
    trends = table(made(settings, rollup(row(RATE, 99.5)), *history), "Performance trends")
    assert trends.head[1:4] == ("Jul 26", "Jun 26", "Jul 25")
    assert trends.rows[0][:4] == (
        "Phase creation success rate",
        "99.50\u00a0%",
        "99.00\u00a0%",
        "98.00\u00a0%",
    )


def test_last_year_is_shown_and_not_in_the_trend(settings: Settings) -> None:
    before = [row(OVERLAPS, 100, -n) for n in range(1, 12)]
    for last_year in (100, 1):
        trends = table(
            made(settings, rollup(row(OVERLAPS, 100)), *before, row(OVERLAPS, last_year, -12)),
            "Performance trends",
        )
        assert trends.rows[0][3:7] == (str(last_year), "±0", "no trend", "1.000")


def test_a_change_within_chance_is_neither_good_nor_bad(settings: Settings) -> None:
    told = made(
        settings, rollup(row(RATE, 99.5), row(OVERLAPS, 300)), row(RATE, 99.4, -1), row(OVERLAPS, 100, -1)
    )
    rate, overlaps = told.figures
    assert (rate.change, rate.judgement) == ("+0.10\u00a0points, within chance", Judgement.NEUTRAL)
    assert (overlaps.change, overlaps.judgement) == ("+200", Judgement.GOOD)


class TestRollout:
    def test_by_company_and_service(self, settings: Settings) -> None:
        told = made(settings, rollup(row(SHARE, 30)), row(SHARE, 12.5, -1, company_id=4))
        assert table(told, "Roll-out by company").rows == (
            ("4", "2", "2", "1", "30", "100.0\u00a0%", "12.5\u00a0%"),
            ("5", "1", "1", "0", "0", "0.0\u00a0%", "–"),
        )
        assert [r[:4] for r in table(told, "Roll-out by service").rows] == [
            ("Färben <intensiv>", "4", "yes", "30"),
            ("2", "4", "yes", "0"),
            ("3", "5", "yes", "0"),
        ]
        assert "Färben &lt;intensiv&gt;" in page.render(told, Language("en", settings.zone))

    def test_a_company_that_stopped_is_a_no(self, settings: Settings) -> None:
        item = answers(made(settings, rollup(row(SHARE, 30)), row(SHARE, 9, -1, company_id=5)))[
            "Review rollout progress"
        ]
        assert item.answer is Answer.NO
        assert item.evidence.endswith("New companies: 4. Companies that no longer use it: 5.")
        assert (
            "1 of 3 services with the feature switched on were booked, in 1 company; 30.0\u00a0%"
            in item.evidence
        )

    @pytest.mark.parametrize(
        ("flags", "stage"),
        [
            (FeatureFlags(), "No feature flags are read"),
            (
                FeatureFlags(configured=True, service_whitelist=frozenset({"1"})),
                "Switched off but for 1 service.",
            ),
            (
                FeatureFlags(configured=True, enabled=True, company_whitelist=frozenset({4, 5, 6})),
                "Switched on for 3 companies.",
            ),
            (FeatureFlags(configured=True, enabled=True), "Switched on for all companies."),
        ],
    )
    def test_the_stage(self, settings: Settings, flags: FeatureFlags, stage: str) -> None:
        item = answers(made(settings, rollup(row(SHARE, 30), flags=flags)))["Review rollout progress"]
        assert item.evidence.startswith(stage)
        assert item.answer is Answer.YES

    def test_without_the_rows_nobody_knows(self, settings: Settings) -> None:
        told = made(settings, rollup(row(HITS, 90), counted=None))
        assert answers(told)["Review rollout progress"].answer is Answer.UNKNOWN
        assert not [part for part in told.parts if isinstance(part, Table) and "Roll-out" in part.title]


class TestSmallPrint:
    def test_what_is_missing_is_said(self, settings: Settings) -> None:
        now = rollup(
            row(RATE, 99.5),
            lost={SYNC: "appointments has no column sync_status"},
            kept=(HITS,),
            doubt="the feature flags changed",
            samples=SampleRollup(
                (), {HITS: timedelta(hours=300), "phase_creation_time": timedelta(hours=740)}
            ),
        )
        notes = "\n".join(made(settings, now, row(RATE, 99, -4), row(RATE, 99, -2)).notes)
        assert "Cal.com sync success rate: appointments has no column sync_status" in notes
        assert "because the rows or samples are gone: Availability cache hit rate." in notes
        assert "The feature flags changed." in notes
        assert "Availability cache hit rate: measured for 300 of 744 hours." in notes
        assert "Phase creation time: measured" not in notes
        assert "missing in the trends: April 2026, June 2026." in notes

    def test_what_is_switched_off_is_not_told_of(self, settings: Settings) -> None:
        off = settings.metrics[RATE].model_copy(update={"enabled": False})
        changed = settings.model_copy(update={"metrics": {**settings.metrics, RATE: off}})
        told = made(changed, rollup(row(RATE, 1), row(SYNC, 99.5), row("gone_for_good", 1)))
        assert [figure.label for figure in told.figures] == ["Cal.com sync success rate"]


def test_a_month_of_which_nothing_is_known(settings: Settings) -> None:
    told = made(settings, rollup())
    assert (told.judgement, told.figures, told.pictures) == (Judgement.NEUTRAL, (), ())


def test_in_german(settings: Settings) -> None:
    told = made(settings, rollup(row(RATE, 98.9), row(OVERLAPS, 1200)), code="de")
    assert told.title == "Einwirkzeit: Juli 2026"
    assert told.headline.startswith("1 von 2 Zielen erreicht. Verfehlt: ")
    assert "98,90\u00a0%" in told.headline
    assert "1.200, zu wenige Monate für einen Trend." in told.headline
