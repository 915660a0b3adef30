# SPDX-License-Identifier: MIT
"""The status page of several applications over HTTP: the list, a page a target, and what is broken in one of them."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from typing import Any
from urllib.parse import urljoin

import pytest
from fastapi import HTTPException
from starlette.testclient import TestClient

from benchmarks.page_data import History, fill
from processing_time.page import targets as targets_module
from processing_time.settings import Settings, load
from processing_time.store import Store
from tests.integration.own_schema import SCHEMA, fresh
from tests.integration.page_http import AT, dead, served

TWO = {"berlin": {}, "hamburg": {}}
AS_OF = AT - timedelta(minutes=20)
Configure = Callable[..., None]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Configure:
    """Set the targets of this process, as somebody who edits the settings while Airflow runs."""

    def targets(**named: Any) -> None:
        monkeypatch.setenv("PROCESSING_TIME__TARGETS", json.dumps(named))

    return targets


@pytest.fixture(scope="module")
def store(mariadb: Any) -> Callable[[], Any]:
    """A store with nine days of checks and two open alerts, one of them with the on-call."""
    connect = fresh(mariadb)
    with Store(connect) as opened:
        opened.sightings()
    with closing(mariadb.root(SCHEMA)) as connection, closing(connection.cursor()) as cursor:
        fill(connection, History(AS_OF, 9, 3), load())
        cursor.execute("UPDATE alerts SET level = 1")
        cursor.execute("UPDATE alerts SET level = 2 WHERE resolved_at IS NULL ORDER BY id LIMIT 1")
        connection.commit()
    return connect


@pytest.fixture
def connect(store: Callable[[], Any]) -> Callable[[Settings], Any]:
    """The store of Berlin works, no other does."""
    return lambda settings: store() if settings.target == "berlin" else dead(settings)


def rows(html: str) -> dict[str, str]:
    """The text of each row of the list, by its target."""
    items = re.findall(r"<li class=.*?</li>", html, re.DOTALL)
    texts = [" ".join(re.sub(r"<[^>]+>", " ", item).split()) for item in items]
    return {text.split()[0]: text for text in texts}


def links(client: TestClient, path: str) -> list[str]:
    """Where the links and files of a page lead that are not elsewhere."""
    answer = client.get(path)
    found = re.findall(r'(?:href|src)="([^"#]+)"', answer.text)
    return [urljoin(str(answer.url), link).removeprefix("http://testserver") for link in found]


def test_the_list_says_how_each_target_is_and_what_is_broken_in_one_costs_the_others_nothing(
    configure: Configure, connect: Any
) -> None:
    configure(**TWO)
    answer = served(connect=connect).get("")
    assert answer.status_code == 200
    found = rows(answer.text)
    assert list(found) == ["hamburg", "berlin"], "the worst first"
    for text in ("✓ ok", "Wed 10 Jun 2026, 14:00 Europe/Berlin (20 min ago)", "1 at level 2 · on-call, "):
        assert text in found["berlin"]
    assert found["hamburg"] == (
        "hamburg ? unknown the connection processing_time_store__hamburg does not work, its server does not answer"
    )
    assert "<title>unknown · Processing Time</title>" in answer.text


def test_the_list_says_loudly_who_is_overdue(configure: Configure, connect: Any) -> None:
    configure(**TWO)
    html = served(connect=connect, clock=lambda: AT + timedelta(hours=1)).get("").text
    (loud,) = re.findall(r'<p class="overdue" role="alert">.*', html)
    assert loud.endswith("Nobody is watching berlin.</p>")
    assert "⏰ Overdue since Wed 10 Jun 2026, 15:00 Europe/Berlin" in rows(html)["berlin"]
    assert "? unknown" in rows(html)["berlin"]
    assert "<title>Overdue" in html
    assert "⏰" not in rows(html)["hamburg"]


def test_all_links_of_the_list_and_of_a_target_lead_somewhere(configure: Configure, connect: Any) -> None:
    configure(**TWO)
    client = served(connect=connect)
    here = "/processing-time"
    assert {link for link in links(client, "") if "assets" not in link} == {
        f"{here}/",
        f"{here}/berlin/",
        f"{here}/hamburg/",
        "/",
    }
    run = f"/dags/processing_time_health_check__berlin/runs/scheduled__{AS_OF.isoformat()}"
    own = links(client, "berlin/")
    assert run.replace("+", "%2B").replace(":", "%3A") in own
    assert not [link for link in own if "/dags/" in link and "health_check__berlin/" not in link]
    for path in ("", "berlin/", "berlin/companies", "berlin/reports", "hamburg/", "nowhere/"):
        ours = {link for link in links(client, path) if link.startswith(here)}
        assert f"{here}/" in ours, "a way back to the list"
        for link in ours - {f"{here}/hamburg/", f"{here}/hamburg/companies", f"{here}/hamburg/reports"}:
            assert client.get(f"http://testserver{link}").status_code == 200, (path, link)


@pytest.mark.parametrize(
    ("path", "heading"),
    [("", "Now"), ("companies", "Companies"), ("reports", "Reports")],
)
def test_a_page_names_its_target(configure: Configure, connect: Any, path: str, heading: str) -> None:
    configure(**TWO)
    html = served(connect=connect).get(f"berlin/{path}").text
    assert f"<h1>berlin · {heading}</h1>" in html
    assert " · berlin · Processing Time</title>" in html


def test_the_page_of_a_broken_target_says_what_to_mend_with_its_own_names(configure: Configure) -> None:
    configure(**TWO)
    answer = served().get("hamburg/companies")
    assert answer.status_code == 503
    assert "<title>unknown · hamburg · Processing Time</title>" in answer.text
    assert "the connection processing_time_store__hamburg does not work" in answer.text


@pytest.mark.parametrize("path", ["", "companies", "reports"])
def test_a_target_that_there_is_not(configure: Configure, path: str) -> None:
    configure(**TWO)
    answer = served().get(f"hamburgh/{path}")
    assert answer.status_code == 404
    assert "There is no target hamburgh in the settings." in answer.text
    assert '<a href="../hamburg/">hamburg</a>' in answer.text
    hostile = served().get(f"<script>alert(1)<%2Fscript>/{path}".replace("<", "%3C"))
    assert "<script>" not in hostile.text


def test_a_target_without_its_slash_and_no_other_site(configure: Configure) -> None:
    configure(**TWO)
    client = served()
    assert client.get("hamburg").headers["location"] == "./hamburg/"
    assert client.get("http%3Aexample.org").headers["location"] == "./http%3Aexample.org/"


def test_each_target_has_its_metrics_and_its_token(configure: Configure, connect: Any) -> None:
    configure(**TWO)
    client = served(connect=connect)

    def asked(target: str, token: str) -> tuple[int, str]:
        answer = client.get(f"{target}metrics", headers={"Authorization": f"Bearer {token}"})
        return answer.status_code, answer.text

    assert "processing_time_value{metric=" in asked("berlin/", "secret-of-berlin")[1]
    assert asked("berlin/", "secret-of-hamburg") == (401, "A token is needed.\n")
    status, text = asked("hamburg/", "secret-of-hamburg")
    assert (status, "processing_time_store__hamburg" in text) == (503, True)
    assert asked("nowhere/", "secret-of-nowhere")[0] == 404
    assert asked("", "secret-of-") == (404, "Each target has its own, at <target>/metrics.\n")


@pytest.mark.parametrize("root_path", ["", "/airflow"])
def test_the_login_leads_back_to_the_page_that_was_asked_for(configure: Configure, root_path: str) -> None:
    def nobody() -> None:
        raise HTTPException(401, "Not authenticated")

    configure(**TWO)
    client = served(user=nobody, root_path=root_path)
    html = {"Accept": "text/html"}
    for path in ("", "berlin/", "berlin/reports?weekly=2026-06-01", "nowhere/"):
        assert client.get(path).status_code == 401
        answer = client.get(path, headers=html)
        back = (
            f"{root_path}/processing-time/{path}".replace("/", "%2F").replace("?", "%3F").replace("=", "%3D")
        )
        assert answer.headers["location"] == f"{root_path}/api/v2/auth/login?next={back}"


def test_a_new_target_needs_no_restart(configure: Configure, connect: Any) -> None:
    client = served(connect=connect)
    assert "<h1>Now</h1>" in client.get("").text
    assert client.get("berlin/").status_code == 404
    configure(berlin={})
    assert list(rows(client.get("").text)) == ["berlin"]
    assert client.get("berlin/").status_code == 200
    assert client.get("hamburg/").status_code == 404
    configure(**TWO)
    assert set(rows(client.get("").text)) == {"berlin", "hamburg"}
    assert client.get("hamburg/").status_code == 503


def test_settings_of_one_target_that_cannot_be_used(configure: Configure, connect: Any) -> None:
    configure(berlin={}, hamburg={"timezone": "Europe/Hamburg"})
    client = served(connect=connect)
    found = rows(client.get("").text)
    assert "✓ ok" in found["berlin"]
    assert "targets.hamburg: timezone = &#39;Europe/Hamburg&#39; is not a known time zone" in found["hamburg"]
    answer = client.get("hamburg/")
    assert answer.status_code == 503
    assert "is not a known time zone" in answer.text


@pytest.mark.parametrize("path", ["", "companies", "berlin/", "berlin/companies"])
def test_settings_that_nobody_can_read(monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setenv("PROCESSING_TIME_CONFIG", "/nowhere/settings.yaml")
    answer = served().get(path)
    assert answer.status_code == 503
    assert "/nowhere/settings.yaml cannot be read" in answer.text
    for link in links(served(), path):
        assert "assets" not in link or served().get(f"http://testserver{link}").status_code == 200


def test_an_error_that_nobody_thought_of_stays_in_its_row(configure: Configure, connect: Any) -> None:
    def odd(settings: Settings) -> Any:
        if settings.target == "hamburg":
            raise ValueError("password=hunter2")
        return connect(settings)

    configure(**TWO)
    html = served(connect=odd).get("").text
    assert "✓ ok" in rows(html)["berlin"]
    assert "Its store cannot be read (ValueError): see the log of the API server." in rows(html)["hamburg"]
    assert "hunter2" not in html


def test_a_store_that_hangs_is_not_waited_for_and_is_asked_once(
    configure: Configure, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on, asked = threading.Event(), list[str]()

    def hanging(settings: Settings) -> Any:
        if settings.target == "hamburg":
            asked.append(settings.target)
            goes_on.wait()
        return connect(settings)

    # The patience is at its end as soon as the other one is there.
    monkeypatch.setattr(
        targets_module, "wait", lambda futures, patience: next(iter(futures)).result(patience * 10)
    )
    configure(**TWO)
    client = served(connect=hanging)
    try:
        for _ in range(2):
            found = rows(client.get("").text)
            assert "✓ ok" in found["berlin"]
            assert found["hamburg"] == "hamburg ? unknown Its store has not answered within 5 s."
        assert asked == ["hamburg"]
    finally:
        goes_on.set()


def test_a_target_may_have_the_name_of_a_page(configure: Configure) -> None:
    names = ("assets", "companies", "reports", "metrics")
    configure(**{name: {} for name in names})
    client = served()
    assert set(rows(client.get("").text)) == set(names)
    for name in names:
        for path in ("", "companies", "reports"):
            assert f"<title>unknown · {name} ·" in client.get(f"{name}/{path}").text
        assert client.get(f"{name}/assets/page.css").status_code == 200
    assert client.get("assets/page.css").status_code == 200
