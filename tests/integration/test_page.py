# SPDX-License-Identifier: MIT
"""The status page in a real Airflow and a real browser: who sees it, what it says, how it is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from processing_time.settings import load
from tests.integration.status_page import CHROMIUM, TOKEN, StatusPage, Watched, chromium, serving

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="needs Chromium: apt-get install chromium")

PAGES = ("", "companies", "reports")
HTML = "text/html,application/xhtml+xml"
Open = Callable[..., Watched]


@pytest.fixture(scope="module")
def server(airflow_db: None, mariadb: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StatusPage]:
    with serving(mariadb, tmp_path_factory.mktemp("page")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def filled(server: StatusPage) -> StatusPage:
    """The page before a history of nine days."""
    server.history()
    return server


@pytest.fixture
def visit(browser: Browser, server: StatusPage) -> Iterator[Open]:
    """Open a page of the status page as somebody who is logged in."""
    contexts = []

    def go(path: str = "", *, logged_in: bool = True, **options: Any) -> Watched:
        context = browser.new_context(**options)
        contexts.append(context)
        if logged_in:
            context.add_cookies([{"name": "_token", "value": server.token(), "url": server.airflow}])
        watched = Watched(context.new_page(), server.airflow)
        watched.page.goto(server.url + path)
        return watched

    yield go
    for context in contexts:
        context.close()


@pytest.mark.parametrize("path", [*PAGES, "assets/page.css", "assets/page.js"])
def test_nobody_without_a_login_sees_anything(server: StatusPage, path: str) -> None:
    answer = server.get(path, Accept="application/json")
    assert (answer.status_code, answer.json()) == (401, {"detail": "Not authenticated"})
    answer = server.get(path, Accept=HTML)
    assert answer.status_code == 307
    assert answer.headers["location"].startswith("/api/v2/auth/login?next=%2Fprocessing-time%2F")
    assert server.get(path, Authorization="Bearer x.y.z").status_code == 403


def test_a_program_with_a_token_of_airflow_sees_the_page(filled: StatusPage) -> None:
    answer = filled.get("", Authorization=f"Bearer {filled.token()}")
    assert answer.status_code == 200
    assert "Phase creation success rate" in answer.text


def test_a_person_logs_in_and_is_back(filled: StatusPage, visit: Open) -> None:
    page = visit("companies", logged_in=False).page
    expect(page).not_to_have_url(filled.url + "companies")
    page.get_by_label("Username").fill("anna")
    page.get_by_label("Password").fill("password-of-anna")
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(filled.url + "companies")
    expect(page.get_by_role("heading", name="Companies")).to_be_visible()


def test_the_entry_in_the_navigation_and_the_links_of_the_page_are_plain(
    filled: StatusPage, visit: Open
) -> None:
    page = visit().page
    page.goto(filled.airflow)
    page.get_by_role("button", name="Browse").click()
    with page.context.expect_page() as opened:
        page.get_by_role("menuitem", name="Processing Time").click()
    shown = opened.value
    expect(shown).to_have_url(filled.url)
    assert len(shown.frames) == 1, "no frame around it, so nothing stops its links"
    shown.get_by_role("link", name="Airflow run of this check").click()
    expect(shown).to_have_url(f"{filled.airflow}/dags/processing_time_health_check/runs/" + _run(filled))


def _run(server: StatusPage) -> str:
    (row,) = server.rows("SELECT dag_run_id FROM checks ORDER BY as_of DESC LIMIT 1")
    return row["dag_run_id"].replace(":", "%3A").replace("+", "%2B")


def test_every_value_is_that_of_the_store(filled: StatusPage, visit: Open) -> None:
    page = visit().page
    rows = filled.rows(
        "SELECT metric, value, state FROM samples WHERE company_id = 0 AND as_of = (SELECT MAX(as_of) FROM checks)"
    )
    settings = load()
    assert (
        page.locator(".metrics > li").count() == len(rows) == len(settings.metrics) + len(settings.log_rules)
    )
    forms = {"%": "{:.2f} %", "ms": "{:.1f} ms", "×": "{:.1f}×"}
    for row in rows:
        metric = settings.metrics.get(row["metric"])
        unit = metric.unit if metric else ""
        text = forms.get(unit, "{:g} " + unit).format(row["value"]).strip()
        expect(page.locator(f"#{row['metric']} .value")).to_have_text(f"{text} ✓ ok")
    (check,) = filled.rows("SELECT MAX(as_of) AS at FROM checks")
    local = check["at"].replace(tzinfo=UTC).astimezone(settings.zone)
    expect(page.locator(".times")).to_contain_text(f"{local:%a %d %b %Y, %H:%M} Europe/Berlin")


def test_the_lines_say_what_the_store_holds(filled: StatusPage, visit: Open) -> None:
    page = visit().page
    key = "phase_creation_success_rate"
    since = page.locator(f"#{key} svg").first.get_attribute("aria-label")
    settings = load()
    midnight = datetime.now(settings.zone).replace(hour=0, minute=0, second=0, microsecond=0)
    start = midnight.astimezone(UTC).replace(tzinfo=None)
    (row,) = filled.rows(
        "SELECT COUNT(*) AS n, MIN(value) AS low, MAX(value) AS high FROM samples"
        " WHERE metric = %s AND company_id = 0 AND as_of >= %s - INTERVAL 6 DAY",
        key,
        start,
    )
    assert f"7 days: {row['n']} measurements, from {row['low']:.2f} % to {row['high']:.2f} %" in since
    (row,) = filled.rows("SELECT COUNT(*) AS n FROM monthly WHERE metric = %s AND company_id = 0", key)
    long = page.locator(f"#{key} svg").last.get_attribute("aria-label")
    assert f"13 months: {row['n']} months" in long


def test_an_alert_that_opens_between_two_loads(filled: StatusPage, visit: Open) -> None:
    page = visit().page
    before = page.locator(".alerts li").count()
    filled.rows(
        "INSERT INTO alerts (rule, company_id, severity, level, state, opened_at, last_seen_at, last_counted_at,"
        " last_told_at, acknowledged_by, acknowledged_at, bad_checks, good_checks, critical_checks, subjects,"
        " acknowledgers, slack_channel, slack_ts) SELECT 'calcom_sync_success_rate', 0, 'critical', 2, 'acknowledged',"
        " as_of, as_of, as_of, as_of, 'U0ANNA00001', as_of, 1, 0, 1, '[]', '[]', 'C0CRITICAL1', '1700000001.000200'"
        " FROM checks ORDER BY as_of DESC LIMIT 1"
    )
    page.reload()
    expect(page.locator(".alerts li")).to_have_count(before + 1)
    alert = page.locator(".alerts li").first
    for text in ("CRITICAL", "Cal.com sync success rate", "2 · on-call", "U0ANNA00001"):
        expect(alert).to_contain_text(text)
    links = [link.get_attribute("href") for link in alert.get_by_role("link").all()]
    assert links == [
        "https://slack.com/archives/C0CRITICAL1/p1700000001000200",
        f"../dags/processing_time_health_check/runs/{_run(filled)}",
        f"{load().slack.runbook_url}#calcom_sync_success_rate",
    ]


def test_a_check_that_does_not_come_is_said_loudly(filled: StatusPage, visit: Open) -> None:
    newest = "SELECT as_of FROM (SELECT as_of FROM checks ORDER BY as_of DESC LIMIT 14) AS newest"
    filled.rows(f"UPDATE checks SET finished_at = NULL WHERE as_of IN ({newest})")
    page = visit().page
    expect(page.get_by_role("alert")).to_contain_text("Overdue")
    expect(page.get_by_role("alert")).to_contain_text("nobody is watching")
    expect(page.locator(".headline")).to_contain_text("? unknown")
    assert "Overdue" in page.title()


def test_an_empty_store_is_no_health(server: StatusPage, visit: Open) -> None:
    for table in ("checks", "samples", "alerts"):
        server.rows(f"DELETE FROM {table}")
    page = visit().page
    expect(page.locator(".headline")).to_contain_text("? unknown")
    expect(page.locator(".headline")).to_contain_text("Nothing has been measured yet")
    expect(page.get_by_text("No alert is open.")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_wrong_with_a_page_in_any_theme_or_size(
    filled: StatusPage, visit: Open, path: str, width: int, scheme: Any
) -> None:
    filled.rows(
        "UPDATE samples SET state = 'unknown', value = NULL, reason = %s WHERE metric = 'availability_cache_hit_rate'",
        "no line for a hit has come: check metrics.availability_cache_hit_rate.patterns.hit, or a-word-"
        + "x" * 80,
    )
    watched = visit(path, viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = watched.page
    assert watched.faults == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()


def test_by_keyboard(filled: StatusPage, visit: Open) -> None:
    page = visit("companies").page
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Company")).to_be_focused()
    page.keyboard.type("2")
    expect(page.locator("#companies tbody tr:visible")).to_have_count(1)
    expect(page.locator("#shown")).to_have_text("1 company")
    page.get_by_label("Company").fill("")
    head = page.get_by_role("button", name="Cal.com sync success rate")
    head.focus()
    page.keyboard.press("Enter")
    column = head.locator("xpath=..")
    expect(column).to_have_attribute("aria-sort", "ascending")
    rows = filled.rows(
        "SELECT company_id FROM samples WHERE metric = 'calcom_sync_success_rate' AND company_id > 0"
        " AND as_of = (SELECT MAX(as_of) FROM checks) ORDER BY value, company_id"
    )
    assert page.locator("#companies tbody th").all_text_contents() == [str(r["company_id"]) for r in rows]


def test_without_javascript_everything_but_sorting_is_there(filled: StatusPage, visit: Open) -> None:
    page = visit("companies", java_script_enabled=False).page
    expect(page.locator("#companies tbody tr")).to_have_count(3)
    expect(page.locator("#filter")).to_be_hidden()


def test_prometheus_needs_its_token(filled: StatusPage) -> None:
    from prometheus_client.openmetrics.parser import text_string_to_metric_families

    assert filled.get("metrics").status_code == 401
    assert filled.get("metrics", Authorization="Bearer wrong").status_code == 401
    assert filled.get("metrics", Authorization=f"Bearer {filled.token()}").status_code == 401
    answer = filled.get("metrics", Authorization=f"Bearer {TOKEN}")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    families = {f.name: f for f in text_string_to_metric_families(answer.text)}
    values = {s.labels["metric"]: s.value for s in families["processing_time_value"].samples}
    rows = filled.rows(
        "SELECT metric, value FROM samples WHERE company_id = 0 AND as_of = (SELECT MAX(as_of) FROM checks)"
    )
    assert values == {row["metric"]: row["value"] for row in rows}


# --- several applications, without a restart ------------------------------------------------------------------------


@pytest.fixture
def several(filled: StatusPage) -> Iterator[StatusPage]:
    """Two applications, of which the store of one cannot be read."""
    with filled.several():
        yield filled


def test_the_list_leads_to_a_target_and_back(several: StatusPage, visit: Open) -> None:
    page = visit().page
    items = page.locator(".targets li")
    expect(items).to_have_count(2)
    expect(items.first).to_contain_text("there is no connection processing_time_store__hamburg: set it up")
    expect(items.last).to_contain_text("✓ ok")
    page.get_by_role("link", name="berlin").click()
    expect(page).to_have_url(f"{several.url}berlin/")
    expect(page.get_by_role("heading", name="berlin · Now")).to_be_visible()
    page.get_by_role("link", name="Companies").click()
    expect(page).to_have_url(f"{several.url}berlin/companies")
    expect(page.locator("#companies tbody tr")).to_have_count(3)
    page.get_by_role("link", name="Now").click()
    page.get_by_role("link", name="Airflow run of this check").click()
    expect(page).to_have_url(
        f"{several.airflow}/dags/processing_time_health_check__berlin/runs/{_run(several)}"
    )
    page.go_back()
    page.get_by_role("link", name="Targets").click()
    expect(page).to_have_url(several.url)


def test_a_person_logs_in_and_is_back_at_the_target(several: StatusPage, visit: Open) -> None:
    page = visit("berlin/companies", logged_in=False).page
    page.get_by_label("Username").fill("anna")
    page.get_by_label("Password").fill("password-of-anna")
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{several.url}berlin/companies")


def test_prometheus_reads_a_target(several: StatusPage) -> None:
    answer = several.get("berlin/metrics", Authorization=f"Bearer {TOKEN}")
    assert 'processing_time_value{metric="phase_creation_success_rate"' in answer.text
    assert several.get("berlin/metrics").status_code == 401
    assert several.get("berlin").headers["location"] == "./berlin/"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize(
    ("path", "status"), [("", 200), ("berlin/", 200), ("hamburg/", 503), ("nowhere/", 404)]
)
def test_nothing_is_wrong_with_the_list_in_any_theme_or_size(
    several: StatusPage, visit: Open, path: str, status: int, width: int, scheme: Any
) -> None:
    watched = visit(path, viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = watched.page
    assert [
        fault for fault in watched.faults if f"the server responded with a status of {status}" not in fault
    ] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
