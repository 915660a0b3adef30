# SPDX-License-Identifier: MIT
"""The incident DAG in a real Airflow: who may say yes, what happens without one, and what the audit and Slack hold."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from demo.account import Account
from demo.application import Application
from demo.services import MariaDB, Redis
from demo.slack import StandInSlack
from demo.traffic import Plan as Traffic
from demo.traffic import generate
from processing_time.incident.action import Outcome, Plan, Refused, Result
from processing_time.outbox import Notification, Place
from processing_time.store import Store
from tests.integration.incident_runs import APPROVED_AND_DONE, Audit, Incidents, People, answering, somebody

CLEAR = "clear_availability_cache"
ALERT = ("phase_creation_success_rate", 0)


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def account(application: Application, watch: Callable[[Application], None], monkeypatch: Any) -> Account:
    """A small healthy application, watched; clearing its cache needs an approval."""
    made = generate(Traffic(now(), days=2, requests_a_day=60))
    application.build(made)
    watch(application)
    monkeypatch.setenv("PROCESSING_TIME__INCIDENT__APPROVE_ABOVE", "0")
    return made


def keys(redis_server: Redis) -> int:
    with contextlib.closing(redis_server.client(1)) as client:
        return len(list(client.scan_iter("*week_availability:*:pt_*")))


def others(redis_server: Redis) -> int:
    with contextlib.closing(redis_server.client(1)) as client:
        return int(client.dbsize()) - keys(redis_server)


def open_alert(application: Application, server: MariaDB) -> int:
    """An alert whose thread is in Slack."""
    at = now()
    with Store(lambda: server.root(application.store)) as store:

        def write(cursor: Any) -> int:
            cursor.execute(
                "INSERT INTO alerts (rule, company_id, severity, level, state, opened_at, last_seen_at,"
                " last_counted_at, last_told_at, bad_checks, good_checks, critical_checks, subjects, acknowledgers)"
                " VALUES (%s, %s, 'critical', 3, 'firing', %s, %s, %s, %s, 3, 0, 3, '[]', '[]')",
                (*ALERT, *[at.replace(tzinfo=None)] * 4),
            )
            return int(cursor.lastrowid)

        alert_id = store._session.run(write)
        root = Notification(
            "opened", "root", "critical", {"text": "It fires", "blocks": []}, Place.ROOT, alert=ALERT
        )
        store.actions.owe(root, {ALERT: alert_id}, at)
        return alert_id


# --- yes, no, silence ---------------------------------------------------------------------------------------


def test_an_approved_action_is_done_and_told_in_the_alerts_thread(
    incidents: Incidents,
    people: People,
    account: Account,
    application: Application,
    mariadb: MariaDB,
    redis_server: Redis,
    slack: StandInSlack,
    audit: Audit,
) -> None:
    alert_id = open_alert(application, mariadb)
    before, untouched = keys(redis_server), others(redis_server)
    with somebody(answering(people, "anna", "Approve")):
        ran = incidents.run(action=CLEAR, dry_run=False, alert_id=alert_id, reason="damaged entries")
    assert ran.states == APPROVED_AND_DONE
    assert before > 0
    assert (keys(redis_server), others(redis_server)) == (0, untouched)
    (row,) = audit()
    assert (row["dag_run_id"], row["action"], row["outcome"]) == (ran.run_id, CLEAR, "done")
    assert (row["requested_by"], row["approved_by"], row["dry_run"]) == ("dag_test", "anna", 0)
    assert row["finished_at"] >= row["started_at"]
    assert row["detail"]["plan"]["counts"] == {"keys": before}
    assert row["detail"]["result"]["detail"] == {"keys": before}
    thread = _thread(slack)
    assert [text.splitlines()[0] for text in thread] == [
        "It fires",
        "✋ clear_availability_cache waits for approval",
        "🛠️ clear_availability_cache",
    ]
    assert f"/dags/processing_time_incident/runs/{ran.run_id}/tasks/approve/required_actions" in thread[
        1
    ].replace("%3A", ":").replace("%2B", "+")
    assert f"{before} availability keys removed" in thread[2]
    assert "Approved by anna." in thread[2]
    assert "damaged entries" in thread[2]


def test_a_rejected_action_is_not_done_and_the_run_is_green(
    incidents: Incidents, people: People, account: Account, redis_server: Redis, audit: Audit
) -> None:
    before = keys(redis_server)
    with somebody(answering(people, "anna", "Reject")):
        ran = incidents.run(action=CLEAR, dry_run=False)
    assert (ran.states["approve"], ran.states["act"], ran.states["run"]) == ("success", "skipped", "success")
    assert keys(redis_server) == before
    (row,) = audit()
    assert (row["outcome"], row["approved_by"]) == ("rejected", None)
    assert row["detail"]["result"]["lines"] == ["anna rejected it; nothing was done."]


def test_silence_is_no(
    incidents: Incidents, people: People, account: Account, redis_server: Redis, audit: Audit
) -> None:
    before = keys(redis_server)

    def time_passes() -> bool:
        if not people.waiting():
            return False
        from airflow.jobs.job import Job
        from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
        from airflow.models.taskinstance import TaskInstance
        from airflow.utils.session import create_session
        from sqlalchemy import update

        with create_session() as session:
            waiting = TaskInstance.state == "awaiting_input"
            session.execute(update(TaskInstance).where(waiting).values(trigger_timeout=now() - timedelta(1)))
        SchedulerJobRunner(Job()).check_awaiting_input_timeouts()
        return True

    with somebody(time_passes):
        ran = incidents.run(action=CLEAR, dry_run=False)
    assert (ran.states["act"], ran.states["run"]) == ("skipped", "success")
    assert keys(redis_server) == before
    (row,) = audit()
    assert (row["outcome"], row["approved_by"]) == ("timed_out", None)


# --- answers that do not count ------------------------------------------------------------------------------


def test_an_answer_of_somebody_who_may_not_is_refused(
    incidents: Incidents, people: People, account: Account, monkeypatch: pytest.MonkeyPatch, audit: Audit
) -> None:
    monkeypatch.setenv("PROCESSING_TIME__INCIDENT__APPROVERS", '["anna"]')
    refused: list[int] = []

    def both() -> bool:
        for detail in people.waiting():
            refused.append(people.answer("mallory", detail, "Approve").status)
            assert people.answer("anna", detail, "Approve").status == 200
            return True
        return False

    with somebody(both):
        incidents.run(action=CLEAR, dry_run=False)
    assert refused == [403]
    assert [row["approved_by"] for row in audit()] == ["anna"]


def test_where_airflow_lets_everybody_answer_the_question_stays_open_for_those_who_may(
    incidents: Incidents,
    people: People,
    account: Account,
    redis_server: Redis,
    monkeypatch: pytest.MonkeyPatch,
    audit: Audit,
) -> None:
    monkeypatch.setenv("PROCESSING_TIME__INCIDENT__APPROVERS", '["anna"]')
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True")
    before, turns = keys(redis_server), ["mallory", "anna"]

    def in_turn() -> bool:
        for detail in people.waiting():
            assert keys(redis_server) == before
            assert people.answer(turns.pop(0), detail, "Approve").status == 200
        return not turns

    with somebody(in_turn):
        ran = incidents.run(action=CLEAR, dry_run=False)
    assert ran.states["run"] == "success"
    assert keys(redis_server) == 0
    assert [row["approved_by"] for row in audit()] == ["anna"]


def test_input_that_was_not_asked_for_does_not_count(
    incidents: Incidents, people: People, account: Account, audit: Audit
) -> None:
    answers: list[Any] = [("Approve", {"company_id": "1; DROP TABLE services"}), ("Reject", {})]

    def in_turn() -> bool:
        for detail in people.waiting():
            assert people.answer("anna", detail, *answers.pop(0)).status == 200
        return not answers

    with somebody(in_turn):
        incidents.run(action=CLEAR, dry_run=False)
    assert [row["outcome"] for row in audit()] == ["rejected"]


class Stub:
    """An action that notes what is asked of it."""

    def __init__(self) -> None:
        self.acted = 0
        self.appointments = 3
        self.at_plan: Callable[[], None] = lambda: None
        self.at_act: Callable[[], None] = lambda: None

    def plan(self, request: Any, hands: Any) -> Plan:
        self.at_plan()
        return Plan(("Everything goes back.",), {"appointments": self.appointments})

    def act(self, request: Any, hands: Any, plan: Plan) -> Result:
        self.at_act()
        self.acted += 1
        return Result(Outcome.DONE, ("Everything went back.",))


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Stub:
    """What every name of an action stands for."""
    action = Stub()
    monkeypatch.setattr("processing_time.operators.incident.load", lambda name: action)
    return action


def test_a_rollback_that_needs_two_people_is_not_approved_by_one_twice(
    incidents: Incidents,
    people: People,
    account: Account,
    stub: Stub,
    monkeypatch: pytest.MonkeyPatch,
    audit: Audit,
) -> None:
    monkeypatch.setenv("PROCESSING_TIME__INCIDENT__TWO_PERSON_ROLLBACK", "true")
    turns = [("anna", "approve"), ("anna", "second_approval"), ("ben", "second_approval")]

    def in_turn() -> bool:
        for detail in people.waiting():
            user, task_id = turns.pop(0)
            assert detail["task_instance"]["task_id"] == task_id
            assert stub.acted == 0
            people.answer(user, detail, "Approve")
        return not turns

    with somebody(in_turn):
        ran = incidents.run(action="rollback", dry_run=False)
    assert (ran.states["second_approval"], ran.states["run"], stub.acted) == ("success", "success", 1)
    assert [row["approved_by"] for row in audit()] == ["anna, ben"]


def test_who_has_approved_may_still_say_no(
    incidents: Incidents,
    people: People,
    account: Account,
    stub: Stub,
    monkeypatch: pytest.MonkeyPatch,
    audit: Audit,
) -> None:
    monkeypatch.setenv("PROCESSING_TIME__INCIDENT__TWO_PERSON_ROLLBACK", "true")
    # Only if hers does not count, another one is needed for an end.
    turns = [("anna", "Approve"), ("anna", "Reject"), ("ben", "Approve")]

    def in_turn() -> bool:
        for detail in people.waiting():
            people.answer(turns[0][0], detail, turns.pop(0)[1])
        return not turns

    with somebody(in_turn):
        ran = incidents.run(action="rollback", dry_run=False)
    assert (ran.states["run"], stub.acted) == ("success", 0)
    assert [row["outcome"] for row in audit()] == ["rejected"]


def test_an_approval_that_the_tasks_before_did_not_get_is_missed_by_the_one_that_acts(
    incidents: Incidents, account: Account, stub: Stub, monkeypatch: pytest.MonkeyPatch, audit: Audit
) -> None:
    # As if somebody had marked the task `approve` as successful by hand.
    from airflow.sdk.exceptions import AirflowSkipException

    from processing_time.operators.incident import ApproveOperator

    def skip(self: Any, context: Any) -> None:
        raise AirflowSkipException

    monkeypatch.setattr(ApproveOperator, "execute", skip)
    ran = incidents.run(action="disable_feature", dry_run=False)
    assert (ran.states["act"], ran.states["run"], stub.acted) == ("failed", "failed", 0)
    assert [row["outcome"] for row in audit()] == ["failed"]


def test_an_approval_is_one_of_the_plan_that_was_shown(
    incidents: Incidents, people: People, account: Account, stub: Stub, audit: Audit
) -> None:
    def fail() -> None:
        raise RuntimeError("the machine went away")

    stub.at_act = fail
    with somebody(answering(people, "anna", "Approve")):
        ran = incidents.run(action="rollback", dry_run=False)
    assert ran.states["act"] == "failed"
    stub.at_act = lambda: None
    stub.appointments = 300
    incidents.cleared(ran, "prepare")
    again = incidents.cleared(ran, "act", "finish")
    assert (again.states["act"], again.states["run"], stub.acted) == ("failed", "failed", 0)

    with somebody(answering(people, "ben", "Approve")):
        asked = incidents.cleared(ran, "approve", "second_approval", "act", "finish")
    assert (asked.states["run"], stub.acted) == ("success", 1)
    assert [(row["outcome"], row["approved_by"]) for row in audit()] == [
        ("failed", "anna"),
        ("failed", "anna"),
        ("done", "ben"),
    ]


def test_a_question_that_an_older_version_asked_can_still_be_answered(
    incidents: Incidents, people: People, account: Account, stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.providers.standard.operators.hitl import ApprovalOperator

    from processing_time.operators.incident import ApproveOperator

    def ask(self: Any, context: Any, *_: Any) -> None:
        """It noted nothing about the plan that it showed."""
        self.subject, self.body = "disable_feature: approve?", "Everything goes back."
        ApprovalOperator.execute(self, context)

    monkeypatch.setattr(ApproveOperator, "_ask", ask)
    with somebody(answering(people, "anna", "Approve")):
        ran = incidents.run(action="disable_feature", dry_run=False)
    assert (ran.states["act"], ran.states["run"], stub.acted) == ("success", "success", 1)
    # An answer is one to the plan that was there then, also here.
    stub.appointments = 300
    incidents.cleared(ran, "prepare")
    assert incidents.cleared(ran, "act", "finish").states["act"] == "failed"
    assert stub.acted == 1


def test_a_plan_that_comes_out_the_same_stays_approved(
    incidents: Incidents, people: People, account: Account, stub: Stub
) -> None:
    with somebody(answering(people, "anna", "Approve")):
        ran = incidents.run(action="rollback", dry_run=False)
    incidents.cleared(ran, "prepare")
    assert incidents.cleared(ran, "act", "finish").states["run"] == "success"
    assert stub.acted == 2


def test_a_question_that_is_asked_again_has_an_audit_row_of_its_own(
    incidents: Incidents, people: People, account: Account, stub: Stub, audit: Audit
) -> None:
    with somebody(answering(people, "anna", "Approve")):
        ran = incidents.run(action="rollback", dry_run=False)
    with somebody(answering(people, "ben", "Reject")):
        incidents.cleared(ran, "approve", "second_approval", "act", "finish")
    assert [(row["outcome"], row["approved_by"]) for row in audit()] == [("done", "anna"), ("rejected", None)]
    assert stub.acted == 1


# --- dry runs, side by side, what goes wrong ----------------------------------------------------------------


def test_a_dry_run_asks_nobody_and_changes_nothing(
    incidents: Incidents, account: Account, redis_server: Redis, slack: StandInSlack, audit: Audit
) -> None:
    before = keys(redis_server)
    ran = incidents.run(action=CLEAR)
    assert (ran.states["approve"], ran.states["act"], ran.states["run"]) == ("skipped", "success", "success")
    assert keys(redis_server) == before > 0
    (row,) = audit()
    assert (row["outcome"], row["dry_run"]) == ("dry_run", 1)
    assert slack.messages() == []


def test_a_few_keys_are_cleared_without_an_approval(
    incidents: Incidents,
    account: Account,
    redis_server: Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PROCESSING_TIME__INCIDENT__APPROVE_ABOVE", str(keys(redis_server)))
    ran = incidents.run(action=CLEAR, dry_run=False)
    assert (ran.states["approve"], ran.states["act"]) == ("skipped", "success")
    assert keys(redis_server) == 0
    assert incidents.run(action=CLEAR, dry_run=False).states["run"] == "success"


def test_only_the_keys_of_one_company_are_cleared(
    incidents: Incidents, people: People, account: Account, redis_server: Redis
) -> None:
    ours = {s.id for s in account.services if s.company_id == 2 and s.has_processing_time}
    with contextlib.closing(redis_server.client(1)) as client:
        stored = [key.decode() for key in client.scan_iter("*week_availability:*:pt_*")]
    theirs = [key for key in stored if not any(f":{service}:" in key for service in ours)]
    with somebody(answering(people, "anna", "Approve")):
        incidents.run(action=CLEAR, dry_run=False, company_id=2)
    assert 0 < len(theirs) < len(stored)
    assert keys(redis_server) == len(theirs)


def test_the_audit_row_is_there_before_anything_is_looked_at(
    incidents: Incidents, account: Account, stub: Stub, audit: Audit
) -> None:
    seen: list[tuple[str, Any]] = []

    def look() -> None:
        seen.extend((row["action"], row["outcome"]) for row in audit())

    stub.at_plan = look
    incidents.run(action="rollback")
    assert seen == [("rollback", None)]


@pytest.mark.parametrize(
    ("fault", "outcome", "line"),
    [
        (
            Refused("the connection x is not set up: add it"),
            "refused",
            "the connection x is not set up: add it",
        ),
        (RuntimeError("secret"), "failed", "It could not be planned: the log of the task prepare says why."),
    ],
    ids=["refused", "crashed"],
)
def test_what_cannot_be_planned_is_red_audited_and_told_in_the_thread(
    fault: Exception,
    outcome: str,
    line: str,
    incidents: Incidents,
    account: Account,
    application: Application,
    mariadb: MariaDB,
    slack: StandInSlack,
    stub: Stub,
    audit: Audit,
) -> None:
    def fail() -> None:
        raise fault

    stub.at_plan = fail
    alert_id = open_alert(application, mariadb)
    ran = incidents.run(action="disable_feature", dry_run=False, alert_id=alert_id)
    assert (ran.states["prepare"], ran.states["act"], ran.states["run"]) == (
        "failed",
        "upstream_failed",
        "failed",
    )
    (row,) = audit()
    assert row["outcome"] == outcome
    assert line in _thread(slack)[-1]
    assert "secret" not in "\n".join(_thread(slack))


def test_a_connection_that_was_mistyped_is_told_in_a_sentence(
    incidents: Incidents, account: Account, monkeypatch: pytest.MonkeyPatch, audit: Audit
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PROCESSING_TIME_REDIS", "redis://127.0.0.1:1/cache")
    incidents.run(action=CLEAR)
    (row,) = audit()
    assert row["outcome"] == "refused"
    assert row["detail"]["result"]["lines"][0].startswith("processing_time_redis ends with /cache")


def test_an_action_that_breaks_off_says_how_to_go_on(
    incidents: Incidents, people: People, account: Account, stub: Stub, audit: Audit
) -> None:
    def fail() -> None:
        raise RuntimeError("the machine went away")

    stub.at_act = fail
    with somebody(answering(people, "anna", "Approve")):
        ran = incidents.run(action="rollback", dry_run=False)
    assert (ran.states["act"], ran.states["run"]) == ("failed", "failed")
    (row,) = audit()
    assert (row["outcome"], row["approved_by"]) == ("failed", "anna")
    assert "Clear that task to go on" in row["detail"]["result"]["lines"][0]


def test_who_was_asked_hears_that_it_was_refused_after_all(
    incidents: Incidents, people: People, account: Account, stub: Stub, slack: StandInSlack
) -> None:
    def fail() -> None:
        raise Refused("the flags are not those that were approved: start it again")

    stub.at_act = fail
    with somebody(answering(people, "anna", "Approve")):
        incidents.run(action="rollback", dry_run=False)
    told = sorted(slack.messages(), key=lambda message: message["ts"])
    assert [m["text"].splitlines()[0] for m in told] == ["✋ rollback waits for approval", "🚫 rollback"]
    assert "not those that were approved" in told[1]["text"]


def test_slack_being_down_spoils_nothing(
    incidents: Incidents,
    account: Account,
    application: Application,
    mariadb: MariaDB,
    slack: StandInSlack,
    audit: Audit,
) -> None:
    slack.stop()
    assert incidents.run(dry_run=False).states["run"] == "success"
    assert [row["outcome"] for row in audit()] == ["done"]
    with Store(lambda: mariadb.root(application.store)) as store:
        assert [owed.kind for owed in store.outbox.due(now())] == ["incident"]


# --- hostile values -----------------------------------------------------------------------------------------

HOSTILE = {
    "action": "diagnose; rm -rf /",
    "company_id": "1 OR 1=1",
    "service_id": "1'; DROP TABLE services; --",
    "appointment_ids": "1, 2; $(reboot)",
    "cache_key": "*\nFLUSHALL",
    "rule": "x' OR ''='",
    "until": "tomorrow`id`",
    "alert_id": -1,
    "reason": "line\nbreak",
    "dry_run": "perhaps",
}


@pytest.mark.parametrize("param", HOSTILE)
def test_the_form_refuses_hostile_values(param: str, people: People, account: Account) -> None:
    reply = people.trigger("anna", {"action": CLEAR, param: HOSTILE[param]})
    assert reply.status == 400, reply.body
    assert param in reply.body["detail"]


def test_the_form_takes_what_level_3_and_the_command_line_send(people: People, account: Account) -> None:
    for conf in (
        {"action": "disable_feature", "dry_run": False, "alert_id": 41},
        {"action": "create_missing_phases", "appointment_ids": [5081, "5055"]},
        {"action": "create_missing_phases", "appointment_ids": "5081, 5055\n5"},
        {},
    ):
        reply = people.trigger("anna", conf)
        assert reply.status == 200, reply.body


@pytest.mark.parametrize(
    ("conf", "sentence"),
    [
        (
            {"action": "create_missing_phases", "appointment_ids": ", ".join(map(str, range(1, 10_001)))},
            "appointment_ids holds 10000 ids and may hold 500",
        ),
        ({"action": CLEAR, "company_id": 999_999}, "there is no company 999999"),
        ({"action": CLEAR, "service_id": "4711"}, "there is no service 4711"),
        ({"action": CLEAR, "alert_id": 4711}, "alert_id = 4711: there is no such alert"),
        ({"action": CLEAR, "rule": "stale_phases"}, "rule means nothing to clear_availability_cache"),
    ],
    ids=["ten thousand ids", "company", "service", "alert", "param of another action"],
)
def test_the_first_task_refuses_what_the_form_cannot_know(
    conf: dict[str, Any],
    sentence: str,
    incidents: Incidents,
    account: Account,
    redis_server: Redis,
    audit: Audit,
) -> None:
    before = keys(redis_server)
    ran = incidents.run(dry_run=False, **conf)
    assert (ran.states["prepare"], ran.states["run"]) == ("failed", "failed")
    (row,) = audit()
    assert row["outcome"] == "refused"
    assert row["detail"]["result"]["lines"][0].startswith(sentence)
    assert keys(redis_server) == before


def _thread(slack: StandInSlack) -> list[str]:
    """The texts of the only thread, the first message first."""
    messages = slack.messages()
    (root,) = {m.get("thread_ts") or m["ts"] for m in messages}
    return [
        m["text"] for m in sorted(messages, key=lambda m: m["ts"]) if root in (m["ts"], m.get("thread_ts"))
    ]
