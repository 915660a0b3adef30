# SPDX-License-Identifier: MIT
"""A report as a page, as charts and as messages: whole, self-contained, and safe whatever its texts hold."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta
from html.parser import HTMLParser
from zoneinfo import ZoneInfo

import pytest
from PIL import Image

from demo.slack.limits import complaints_about_blocks, text_length
from processing_time.messages import reports
from processing_time.outbox import Place
from processing_time.reports import page
from processing_time.reports.charts import Bound, Panel, Series, draw
from processing_time.reports.document import (
    Answer,
    Checklist,
    Figure,
    Item,
    Judgement,
    Picture,
    Report,
    Table,
)
from processing_time.reports.language import Language
from processing_time.settings import load

EN = Language("en", ZoneInfo("Europe/Berlin"))
NASTY = "<script>alert(1)</script> & <!channel> *Färben* :eyes:"


@pytest.fixture(scope="session")
def picture() -> Picture:
    days = [EN.weekday(date(2026, 3, 23) + timedelta(days=n)) for n in range(7)]
    panels = [
        Panel(
            "Volume",
            "appointments",
            (Series("with", (3,) * 7), Series("without", (0, 1) * 3 + (0,))),
            kind="bars",
        ),
        Panel(
            "Rate",
            "%",
            (Series("rate", (99.0, None, 97, 100, 100, 100, 98)),),
            (Bound("target 99", 99),),
            top=100.4,
        ),
    ]
    return draw("The week", "What it shows", days, panels, EN)


@pytest.fixture
def made(picture: Picture) -> Report:
    figures = tuple(
        Figure(f"figure {n}", f"{n} %", "1 %", "+1", Judgement.GOOD, "target > 1", met=n % 2 == 0)
        for n in range(9)
    )
    return Report(
        name="weekly-2026-03-23",
        language="en",
        title="Processing Time, week 13",
        period="23 Mar 2026 – 29 Mar 2026",
        headline=f"All is well {NASTY}",
        judgement=Judgement.GOOD,
        figures=figures,
        pictures=(picture,),
        parts=(
            Checklist(
                "Checklist", (Item("Orphans", Answer.NO, f"3 {NASTY}"), Item("Customers", Answer.OPEN, "ask"))
            ),
            Table(
                "Services",
                ("Service", "Appointments"),
                tuple((f"{NASTY} {n}", str(n)) for n in range(300)),
                frozenset({1}),
            ),
            Table("Alerts", ("Alert",), (), empty="No alert was open."),
        ),
        notes=("counted by created_at",),
    )


class Elements(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_needs_nothing_else_and_runs_nothing(made: Report) -> None:
    html = page.render(made, EN)
    elements = Elements(html)
    assert not {tag for tag, _ in elements.found} & {"script", "link", "iframe", "object", "form"}
    addresses = [
        v for _, a in elements.found for k, v in a.items() if k in ("src", "srcset", "href", "action")
    ]
    assert len(addresses) == 4
    assert all(address.startswith("data:image/svg+xml;base64,") for address in addresses)
    assert "url(" not in html
    assert "default-src 'none'" in html


def test_the_page_holds_every_text_and_escapes_it(made: Report) -> None:
    text = Elements(page.render(made, EN)).text
    for expected in (
        made.title,
        made.period,
        made.headline,
        "3 " + NASTY,
        f"{NASTY} 299",
        "No alert was open.",
        *made.notes,
    ):
        assert expected in text
    assert all(figure.label in text for figure in made.figures)
    assert "✓ met" in text
    assert "✗ missed" in text


def test_each_cell_is_named_where_the_head_is_not_shown(made: Report) -> None:
    cells = [a for tag, a in Elements(page.render(made, EN)).found if tag == "td"]
    assert [c["data-head"] for c in cells[:2]] == ["Service", "Appointments"]
    assert [c.get("class") for c in cells[:2]] == [None, "number"]


def test_a_picture_comes_for_light_dark_wide_and_narrow(made: Report, picture: Picture) -> None:
    sources = [a["media"] for tag, a in Elements(page.render(made, EN)).found if tag == "source"]
    assert sources == [
        "(max-width: 600px) and (prefers-color-scheme: dark)",
        "(max-width: 600px)",
        "(prefers-color-scheme: dark)",
    ]
    forms = (picture.wide_light, picture.wide_dark, picture.narrow_light, picture.narrow_dark)
    assert len(set(forms)) == 4
    widths = [float(re.search(r'width="([\d.]+)pt"', svg)[1]) for svg in forms]
    assert widths[0] == widths[1] > 2 * widths[2] == 2 * widths[3]


def test_the_same_numbers_draw_the_same_chart(picture: Picture) -> None:
    days = ["a"] * 7
    panels = [Panel("Rate", "%", (Series("rate", (99.0,) * 7),))]
    assert draw("t", "alt", days, panels, EN) == draw("t", "alt", days, panels, EN)


def test_series_differ_in_grey(picture: Picture, tmp_path) -> None:
    """Bars by their hatch, lines by mark and dashes: the drawing has them as patterns and dash arrays."""
    assert "<pattern" in picture.wide_light
    assert "stroke-dasharray" in picture.wide_light
    file = tmp_path / "chart.png"
    file.write_bytes(picture.png)
    with Image.open(file) as image:
        assert image.width == 1536


def owed(made: Report, **more: object) -> list:
    given = {"page": b"<html>", "links": {}, "attach": True, **more}
    return reports.notifications(made, load(), EN, "weekly/2026-03-23", **given)


def test_slack_gets_a_message_a_chart_and_a_thread(made: Report) -> None:
    found = [(n.dedupe_key, n.place, n.thread, n.file and n.file.name) for n in owed(made)]
    key = "weekly/2026-03-23"
    assert found == [
        (key, Place.CHANNEL, None, None),
        (f"{key}/chart-1", Place.CHANNEL, None, "weekly-2026-03-23-1.png"),
        (f"{key}/details-1", Place.THREAD, key, None),
        (f"{key}/details-2", Place.THREAD, key, None),
        (f"{key}/page", Place.THREAD, key, "weekly-2026-03-23.html"),
    ]
    assert {n.route for n in owed(made)} == {"reports"}


def test_a_page_that_people_can_find_is_linked_and_not_attached(made: Report) -> None:
    found = owed(made, links={"Open the report": "https://reports.example.org/w.html"}, attach=False)
    assert "weekly/2026-03-23/page" not in [n.dedupe_key for n in found]
    assert "https://reports.example.org/w.html" in found[0].payload["text"]


def test_the_messages_fit_and_mention_nobody(made: Report) -> None:
    long = replace(made, figures=made.figures * 5, notes=tuple("n" * 500 for _ in range(30)))
    for notification in owed(long):
        if notification.payload:
            blocks = notification.payload["blocks"]
            assert complaints_about_blocks(blocks) == []
            assert text_length(blocks) <= 10_000
            assert "<!channel>" not in str(blocks) + notification.payload["text"]


def test_what_slack_leaves_out_it_says(made: Report) -> None:
    (_, _, _, tables, _) = owed(made)
    assert "and 290 more" in tables.payload["text"]
    assert "No alert was open" not in tables.payload["text"]


def test_the_first_message_is_read_in_ten_seconds(made: Report) -> None:
    first = owed(made)[0].payload
    assert len(first["blocks"]) == 4
    assert len(first["blocks"][2]["fields"]) == reports.FIGURES_AT_ONCE
    assert len(first["text"].split()) < 70
