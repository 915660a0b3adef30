# SPDX-License-Identifier: MIT
"""Whole checks of an application whose two hosts each write a log: the numbers, and what a missing host costs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from demo.account import Account
from demo.application import Application
from demo.services import MariaDB
from demo.slack import StandInSlack
from demo.traffic import Plan, Surge, Trouble, generate
from processing_time.operators import log_hosts
from processing_time.operators.broken import tell_of_late_check
from tests.integration.test_health_check import rows, samples

PROJECT = Path(__file__).resolve().parents[2]
HOUR = timedelta(hours=1)
AS_OF = datetime(2026, 6, 10, 12, tzinfo=UTC)
HOSTS = ("web1", "web2")
Watch = Callable[[Application], None]


class Hosts:
    """The folders of two hosts, which take turns in writing, and checks of them."""

    def __init__(self, application: Application, account: Account, folder: Path) -> None:
        self.account, self.folder = account, folder
        self._application = application
        self.dag: Any = None

    def settings(self) -> dict[str, Any]:
        return {host: {"queue": host, "logs": [f"{self.folder}/{host}/*.log"]} for host in HOSTS}

    def write(self) -> None:
        for number, host in enumerate(HOSTS):
            self._application.write_logs(self.account.records[number :: len(HOSTS)])
            shutil.copytree(self._application.logs, self.folder / host, dirs_exist_ok=True)
        self._application.remove_logs()  # what `application.logs` names is nobody's

    def take_away(self, host: str) -> None:
        shutil.rmtree(self.folder / host)

    def check(self, as_of: datetime, *, dead: str | None = None) -> dict[str, str]:
        """Run a check; the task of a dead host never answers."""
        conf = {"as_of": as_of.isoformat(), "dry_run": False}
        run = self.dag.test(run_conf=conf, mark_success_pattern=dead and f"read_log.{dead}")
        return {i.task_id: str(i.state) for i in run.get_task_instances()} | {"run": run.run_id}


@pytest.fixture
def hosts(
    application: Application, watch: Watch, airflow_db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Hosts:
    """A burst of failures before AS_OF, in logs of two hosts, watched; a missing host is waited for three seconds."""
    from airflow.dag_processing.dagbag import DagBag

    burst = AS_OF - timedelta(minutes=50)
    account = generate(
        Plan(
            AS_OF + timedelta(minutes=1),
            days=3,
            surges=(Surge(burst, AS_OF, per_hour=120),),
            phase_failures=(Trouble(burst, AS_OF, 0.6),),
        )
    )
    application.build(account)
    watch(application)
    hosts = Hosts(application, account, tmp_path / "hosts")
    hosts.write()
    monkeypatch.setenv("PROCESSING_TIME__APPLICATION__LOG_HOSTS", json.dumps(hosts.settings()))
    monkeypatch.setenv("PROCESSING_TIME__APPLICATION__LOG_HOST_WAIT", "3s")
    monkeypatch.setattr(log_hosts, "PAUSE", 0.2)
    bag = DagBag(PROJECT / "dags")
    assert bag.import_errors == {}
    hosts.dag = bag.dags["processing_time_health_check"]
    return hosts


def sources(application: Application, server: MariaDB) -> set[str]:
    (check,) = rows(
        application, server, f"SELECT sources FROM checks WHERE as_of = '{AS_OF:%Y-%m-%d %H:%M:%S}'"
    )
    return set(json.loads(check["sources"]))


def test_the_numbers_are_those_of_both_logs_together(
    hosts: Hosts, application: Application, mariadb: MariaDB
) -> None:
    run = hosts.check(AS_OF)
    assert {run[f"read_log.{host}"] for host in HOSTS} | {run["collect_log"]} == {"success"}
    found, start = samples(application, mariadb), AS_OF - HOUR
    count = hosts.account.happened
    failures = [f for kind in ("phases_failed", "phases_update_failed") for f in count(kind, start, AS_OF)]
    rule = found["phase_creation_failures", 0]
    bursts = hosts.account.bursts(AS_OF, start)
    assert rule["numerator"] == len(failures) > 12
    assert {key: found[key, 0]["value"] for key in bursts} == bursts
    hits, misses = (len(count(kind, start, AS_OF)) for kind in ("cache_hit", "cache_miss"))
    cache = found["availability_cache_hit_rate", 0]
    assert (cache["numerator"], cache["denominator"]) == (hits, hits + misses)
    assert found["phase_creation_time", 0]["denominator"] == len(count("phases_created", start, AS_OF)) > 10
    assert rule["state"] == "alert"
    assert sources(application, mariadb) == {"mysql", "log", "redis"}
    (check,) = rows(application, mariadb, "SELECT facts FROM checks")
    files = {(f["host"], Path(f["path"]).parent.name) for f in json.loads(check["facts"])["log"]["files"]}
    assert files == {(host, host) for host in HOSTS}


@pytest.mark.parametrize("how", ["folder missing", "never answers"])
def test_a_missing_host_costs_what_it_must_and_the_next_check_reads_the_gap(
    how: str, hosts: Hosts, application: Application, mariadb: MariaDB, slack: StandInSlack
) -> None:
    hosts.check(AS_OF - HOUR)
    if how == "folder missing":
        hosts.take_away("web2")
        run, why = hosts.check(AS_OF), "application.logs matches no file"
    else:
        run, why = hosts.check(AS_OF, dead="web2"), "the task read_log.web2 has not answered"
    assert run["collect_log"] == run["evaluate"] == run["escalate"] == "success"
    found = samples(application, mariadb)
    fires = found["phase_creation_failures", 0]
    # Every second record is on the other host, so of these failures about half are seen.
    whole = hosts.account.bursts(AS_OF, AS_OF - HOUR)["phase_creation_failures"]
    assert (fires["state"], fires["loss"]) == ("alert", None)
    assert 5 < fires["value"] < whole
    assert f"at least: the log of web2 is missing ({why}" in fires["reason"]
    lost = {key for (key, _), row in found.items() if row["loss"] == "source"}
    assert lost == {"phase_creation_time", "availability_cache_hit_rate", "observer_disabled"} | {
        "cache_miss_spike", "calcom_sync_failures",
    }  # fmt: skip
    assert all(f"the log of web2 is missing ({why}" in found[key, 0]["reason"] for key in lost)
    assert sources(application, mariadb) == {"mysql", "redis"}
    rules = [a["rule"] for a in rows(application, mariadb, "SELECT rule FROM alerts WHERE is_open = 1")]
    assert "source.log.unknown" in rules
    assert not [rule for rule in rules if rule.removesuffix(".unknown") in lost]
    blind = [m["text"] for m in slack.messages() if "the log of web2 is missing" in m["text"]]
    assert blind

    hosts.write()
    hosts.check(AS_OF + HOUR)
    after = samples(application, mariadb, AS_OF + HOUR)["phase_creation_failures", 0]
    assert after["window_start"] == (AS_OF - HOUR).replace(tzinfo=None)
    assert (after["value"], after["loss"]) == (whole, None)


def test_a_burst_is_told_by_one_check_while_a_host_is_missing(
    hosts: Hosts, application: Application, mariadb: MariaDB, slack: StandInSlack, monkeypatch: Any
) -> None:
    """The stretch is read again until all hosts are there, but what was told of it is no news an hour later."""
    monkeypatch.setenv("PROCESSING_TIME__ESCALATION__INHIBIT", '{"phase_creation_success_rate": []}')
    hosts.check(AS_OF - HOUR)
    hosts.take_away("web2")
    hosts.check(AS_OF)
    states = [samples(application, mariadb)["phase_creation_failures", 0]["state"]]
    told = len(slack.messages())
    for hours in (1, 2):
        hosts.check(AS_OF + hours * HOUR)
        row = samples(application, mariadb, AS_OF + hours * HOUR)["phase_creation_failures", 0]
        assert row["window_start"] == (AS_OF - HOUR).replace(tzinfo=None)
        states.append(row["state"])
    assert states == ["alert", "unknown", "unknown"]
    titles = [m["text"].partition("\n")[0] for m in slack.messages()]
    assert any("Phase creation failures" in title for title in titles[:told])
    assert not any("Phase creation failures" in title for title in titles[told:])
    (alert,) = rows(
        application,
        mariadb,
        "SELECT level, state FROM alerts WHERE is_open = 1 AND rule = 'phase_creation_failures'",
    )
    assert (alert["level"], alert["state"]) == (1, "firing")


class Waiting:
    """A task instance of ``collect_log`` that sees web2's task go through some states, a state a look; web1's is done."""

    dag_id = "processing_time_health_check"

    def __init__(self, states: list[str | None], answers: dict[str, Any]) -> None:
        self._states, self._answers, self.looks = states, answers, 0

    def get_task_states(self, *, task_ids: list[str], run_ids: list[str], **_: Any) -> dict[str, Any]:
        state = self._states[min(self.looks, len(self._states) - 1)]
        self.looks += 1
        return {run_ids[0]: dict(zip(task_ids, ("success", state), strict=True))}

    def xcom_pull(self, *, task_ids: str) -> Any:
        return self._answers[task_ids]


@pytest.mark.parametrize(
    ("states", "looks", "missing"),
    [
        ([None, "queued", "running", "success"], 4, ""),
        (["up_for_retry", "failed"], 2, "the task read_log.web2 has not answered, it is failed"),
        (["queued"], None, "the task read_log.web2 has not answered, it is queued"),
    ],
    ids=["slow", "fails", "never"],
)
def test_a_host_is_waited_for_until_it_has_answered_and_not_for_ever(
    states: list[str | None], looks: int | None, missing: str, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a task gave before it was cleared is no answer."""
    context: Any = {"params": {"as_of": AS_OF.isoformat()}, "dag_run": SimpleNamespace(run_id="this")}
    answers = {f"read_log.{h}": hosts.dag.get_task(f"read_log.{h}").part(context) for h in HOSTS}
    clock = [datetime.now(UTC)]
    monkeypatch.setattr("processing_time.operators.run.present", lambda: clock[0])
    monkeypatch.setattr(log_hosts.time, "sleep", lambda s: clock.append(clock.pop() + timedelta(seconds=s)))
    waiting = Waiting(states, answers)
    given = hosts.dag.get_task("collect_log").part({**context, "ti": waiting})
    assert waiting.looks == (looks or 1 + 3 / log_hosts.PAUSE)
    told = given["collected"]["facts"].get("missing_hosts", {})
    assert told.get("web2", "").startswith(missing)
    assert bool(told) is bool(missing)


def test_when_all_hosts_are_missing_the_check_goes_on_without_the_log(
    hosts: Hosts, application: Application, mariadb: MariaDB
) -> None:
    for host in HOSTS:
        hosts.take_away(host)
    run = hosts.check(AS_OF)
    assert run["collect_log"] == run["escalate"] == "success"
    row = samples(application, mariadb)["phase_creation_failures", 0]
    assert row["loss"] == "source"
    assert all(f"the log of {host} is missing (" in row["reason"] for host in HOSTS)


def test_a_week_is_put_together_from_its_checks_and_says_so(
    hosts: Hosts, bag: Any, application: Application, mariadb: MariaDB, slack: StandInSlack
) -> None:
    for as_of in (AS_OF - HOUR, AS_OF):
        hosts.check(as_of)
    monday = datetime(2026, 6, 15, 6, 30, tzinfo=UTC)
    conf = {"as_of": monday.isoformat(), "dry_run": False, "company_id": None}
    bag.dags["processing_time_weekly_report"].test(run_conf=conf)
    kept = rows(application, mariadb, "SELECT * FROM weekly WHERE metric = 'availability_cache_hit_rate'")
    (week,) = kept
    start = samples(application, mariadb, AS_OF - HOUR)["availability_cache_hit_rate", 0]["window_start"]
    begin = start.replace(tzinfo=UTC)
    hits, misses = (len(hosts.account.happened(k, begin, AS_OF)) for k in ("cache_hit", "cache_miss"))
    assert (week["numerator"], week["denominator"]) == (hits, hits + misses)
    said = "Availability cache hit rate: put together from 2 checks, because each host has a log of its own."
    assert said in json.dumps(slack.messages(), ensure_ascii=False)


def test_a_finished_check_whose_dead_host_keeps_the_run_open_is_not_late(
    hosts: Hosts, slack: StandInSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = hosts.check(AS_OF, dead="web2")
    told = len(slack.messages())

    def late(run_id: str, **more: Any) -> int:
        tell_of_late_check({"reason": "timed_out", "dag": hosts.dag, "run_id": run_id, **more})  # type: ignore[typeddict-unknown-key]
        return len(slack.messages()) - told

    now = datetime.now(UTC)
    assert late(run["run"]) == 0
    assert late(run["run"], dag_run=SimpleNamespace(start_date=now - HOUR)) == 0
    assert late("another run") == 1
    # The same run started again, and did not come to its end this time.
    assert late(run["run"], dag_run=SimpleNamespace(start_date=now + HOUR)) == 2
    monkeypatch.delenv("PROCESSING_TIME__APPLICATION__LOG_HOSTS")
    assert late(run["run"]) == 3
