# SPDX-License-Identifier: MIT
"""Rollback, relaunch and mute through the incident DAG, with approvals, and with a worker that fails in the middle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from demo.account import Flags
from demo.application import Application
from demo.services import MariaDB
from demo.traffic import Plan, generate
from processing_time.incident import rollback
from processing_time.incident.saved_phases import PhaseTable
from processing_time.store_incident import Copy
from tests.integration.incident_runs import Audit, Incidents, People, answering, somebody
from tests.integration.test_incident import now


@pytest.fixture
def application(application: Application, watch: Callable[[Application], None]) -> Application:
    """An application with appointments ahead, watched; the feature is off, and nobody knows where artisan runs."""
    application.build(generate(Plan(now(), world="deployed", days=1, requests_a_day=1)))
    application.write_flags(Flags(enabled=False))
    watch(application)
    return application


def phases(application: Application) -> list[tuple[Any, ...]]:
    with closing(application.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM appointment_phases ORDER BY id")
        return list(cursor.fetchall())


def test_there_and_back_with_a_worker_that_fails_in_the_middle(
    incidents: Incidents,
    people: People,
    application: Application,
    monkeypatch: pytest.MonkeyPatch,
    audit: Audit,
) -> None:
    before = phases(application)
    shown = incidents.run(action="rollback")
    assert (shown.states["act"], shown.states["run"]) == ("success", "success")
    assert phases(application) == before, "a dry run"

    calls: list[int] = []
    remove = PhaseTable.remove

    def failing(self: PhaseTable, copies: Sequence[Copy]) -> set[int]:
        calls.append(len(copies))
        done = remove(self, copies)
        if len(calls) == 2:
            raise RuntimeError("the machine went away behind the deletion")
        return done

    monkeypatch.setattr(PhaseTable, "remove", failing)
    monkeypatch.setattr(rollback, "BATCH", 20)
    with somebody(answering(people, "anna", "Approve")):
        ran = incidents.run(action="rollback", dry_run=False, reason="trial")
    assert ran.states["run"] == "success", "the task was tried again"
    dry, row = audit()
    counts = row["detail"]["plan"]["counts"]
    assert dry["detail"]["plan"]["counts"] == counts
    assert (row["outcome"], row["approved_by"]) == ("done", "anna")
    assert row["detail"]["result"]["detail"]["appointments"] == counts["appointments"] > 40
    assert len(phases(application)) == len(before) - counts["phases"]

    with somebody(answering(people, "anna", "Reject")):
        assert incidents.run(action="relaunch", dry_run=False).states["act"] == "skipped"
    assert len(phases(application)) == len(before) - counts["phases"]
    with somebody(answering(people, "ben", "Approve")):
        incidents.run(action="relaunch", dry_run=False)
    back = audit()[-1]
    assert back["detail"]["result"]["detail"]["appointments"] == counts["appointments"]
    assert phases(application) == before


def test_a_mute_needs_nobody(
    incidents: Incidents, application: Application, mariadb: MariaDB, audit: Audit
) -> None:
    until = (now() + timedelta(hours=3)).isoformat()
    ran = incidents.run(
        action="mute", dry_run=False, rule="cache_miss_spike", until=until, reason="load test"
    )
    assert (ran.states["approve"], ran.states["run"]) == ("skipped", "success")
    (row,) = audit()
    assert (row["outcome"], row["detail"]["result"]["detail"]["rule"]) == ("done", "cache_miss_spike")
    with closing(mariadb.root(application.store)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT rule, company_id, reason FROM mutes")
        assert cursor.fetchall() == (("cache_miss_spike", 0, "load test"),)
    late = (now() + timedelta(days=8)).isoformat()
    ran = incidents.run(action="mute", rule="cache_miss_spike", until=late, reason="load test")
    assert ran.states["run"] == "failed"
    assert "at most 7 days" in audit()[-1]["detail"]["result"]["lines"][0]
