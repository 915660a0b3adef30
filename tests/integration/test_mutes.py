# SPDX-License-Identifier: MIT
"""Mutes without a deployment: what a check makes of them, and which one holds when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from demo.application import Application
from demo.services import MariaDB
from demo.slack import StandInSlack
from demo.traffic import generate
from processing_time.incident.action import Refused, Request
from processing_time.incident.mute import MuteRule
from processing_time.settings import Mute
from processing_time.store import Store
from tests.integration.own_schema import fresh
from tests.integration.test_health_check import AS_OF, HOUR, broken_plan, rows, samples
from tests.integration.turning_back import Place, hands

RATE = "phase_creation_success_rate"
REASON = "load test <!channel> & more"


@pytest.fixture
def store(mariadb: Any) -> Iterator[Store]:
    with Store(fresh(mariadb)) as made:
        yield made


def mute(place: Place, store: Store, at: datetime, **more: Any) -> Any:
    """Fill in the form at an instant, and run it."""
    request = Request("mute", dry_run=False, as_of=at, requested_by="anna", **{"reason": REASON, **more})
    reach, action = hands(place, store), MuteRule(clock=lambda: at)
    plan = action.plan(request, reach)
    assert (plan.needs_approval, plan.empty) == (False, False)
    return action.act(request, reach, plan)


def test_a_mute_closes_the_alert_is_shown_and_ends_by_itself(
    runs: Any,
    application: Application,
    mariadb: MariaDB,
    watch: Callable[[Application], None],
    slack: StandInSlack,
) -> None:
    application.build(generate(broken_plan("guide", AS_OF)))
    watch(application)
    runs.check(AS_OF)
    place = Place(mariadb.port, application.env_file)
    at = AS_OF + timedelta(minutes=5)
    with Store(lambda: place.connect("pt_store", application.store)) as store:
        told = mute(place, store, at, rule=RATE, until=AS_OF + 2 * HOUR)
    assert "is muted" in told.lines[0]

    runs.check(AS_OF + HOUR)
    after = samples(application, mariadb, AS_OF + HOUR)[RATE, 0]
    assert after["state"] in ("alert", "critical"), "it is measured all the same"
    assert after["muted"] == f"muted until 2026-06-10 16:00: {REASON} (anna)"
    (alert,) = rows(application, mariadb, f"SELECT state FROM alerts WHERE rule = '{RATE}'")
    assert alert["state"] == "resolved"
    (closing,) = (
        m["text"]
        for m in slack.messages()
        if m["metadata"]["event_payload"]["key"].startswith(f"{RATE}/0")
        and "/resolved/" in m["metadata"]["event_payload"]["key"]
    )
    assert "load test &lt;!channel&gt; &amp; more (anna)" in closing

    # What was before it began is judged as it was, and a dry run says what a check would.
    runs.check(AS_OF - timedelta(minutes=10))
    assert samples(application, mariadb, AS_OF - timedelta(minutes=10))[RATE, 0]["muted"] == ""

    runs.check(AS_OF + 2 * HOUR)
    assert samples(application, mariadb, AS_OF + 2 * HOUR)[RATE, 0]["muted"] == ""
    states = rows(application, mariadb, f"SELECT state FROM alerts WHERE rule = '{RATE}' ORDER BY id")
    assert [row["state"] for row in states] == ["resolved", "firing"]


def test_the_newest_mute_of_a_rule_and_company_holds(store: Store) -> None:
    def add(at: int, until: int, company: int | None = None, rule: str = RATE) -> None:
        made = Mute(rule=rule, until=AS_OF + until * HOUR, reason="load test", company=company)
        store.mutes.add(made, AS_OF + at * HOUR, None)

    def held(at: float) -> set[tuple[str, int | None, float]]:
        found = store.mutes.at(AS_OF + at * HOUR)
        return {(m.rule, m.company, (m.until - AS_OF) / HOUR) for m in found}

    add(0, 24)
    add(1, 48, company=5)
    add(2, 3, rule="cache_miss_spike")
    assert held(-1) == set()
    assert held(0) == {(RATE, None, 24)}
    assert held(1.5) == {(RATE, None, 24), (RATE, 5, 48)}
    assert held(2) == {(RATE, None, 24), (RATE, 5, 48), ("cache_miss_spike", None, 3)}
    # Ended early by a shorter one; the one of the company is another.
    add(4, 5)
    assert held(3.5) == {(RATE, None, 24), (RATE, 5, 48)}
    assert held(4) == {(RATE, None, 5), (RATE, 5, 48)}
    assert held(5) == {(RATE, 5, 48)}
    assert held(48) == set()
    # The same again, as a task that is repeated does it.
    add(4, 5)
    assert held(4) == {(RATE, None, 5), (RATE, 5, 48)}


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"rule": None}, "mute needs rule"),
        ({"until": None}, "mute needs until"),
        ({"reason": None}, "mute needs reason"),
        ({"until": AS_OF}, "is over: name a time to come"),
        ({"until": AS_OF + timedelta(days=7, seconds=1)}, "at most 7 days"),
    ],
)
def test_what_a_mute_needs(given: dict[str, Any], sentence: str, store: Store, mariadb: Any) -> None:
    asked = {"rule": RATE, "until": AS_OF + timedelta(days=7), **given}
    with pytest.raises(Refused, match=sentence):
        mute(Place(mariadb.port, env_file=None), store, AS_OF, **asked)
    assert store.mutes.at(AS_OF.astimezone(UTC)) == ()
    mute(Place(mariadb.port, env_file=None), store, AS_OF, rule=RATE, until=AS_OF + timedelta(days=7))
    assert len(store.mutes.at(AS_OF)) == 1
