# SPDX-License-Identifier: MIT
"""Logs of several hosts: counted each for itself and added up they are one log; what a missing one costs."""

from __future__ import annotations

import json
import os
import random
import shutil
import tempfile
from array import array
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from processing_time.evaluation import Memory, believable, evaluate, glob_sightings, judge, measured_whole
from processing_time.findings import Evidence, findings
from processing_time.incident import diagnosis_log
from processing_time.model import Collected, Loss, Sample, SourceUnavailable, State
from processing_time.settings import Settings, load
from processing_time.sources import laravel_log
from processing_time.sources.laravel_log import Counted, combine, count
from processing_time.sources.laravel_log.asked import Asked
from processing_time.sources.laravel_log.scanning import Tally
from processing_time.timeline import Timeline

AS_OF = datetime(2026, 3, 10, 11, 0, tzinfo=UTC)
NIGHT = AS_OF - timedelta(hours=15)
FAILED = "AppointmentPhaseObserver: Failed to create phases"
SAYS = (
    f"ERROR: {FAILED}",
    'INFO: AppointmentPhaseObserver: Phases created {"duration_ms": 37.5}',
    'INFO: AppointmentPhaseObserver: Phases created {"duration_ms": 4}',
    "INFO: AppointmentPhaseObserver: Processing Time phases created",
    "INFO: week_availability:7:pt_1 from cache",
    "INFO: Cal.com API response received week_availability:7:pt_1",
    "ERROR: SyncAppointmentToCalcomJob: Processing Time failed",
    "INFO: SyncAppointmentToCalcomJob: Processing Time success",
    "CRITICAL: something else",
    "INFO: nothing of interest",
)
SETTINGS = load()
Said = tuple[int, str]


def timeline(since: datetime = NIGHT) -> Timeline:
    return Timeline(AS_OF, SETTINGS.zone, SETTINGS.application_zone, since)


def write(folder: Path, host: str, said: list[Said]) -> str:
    """A log of records so many seconds before the check; gives the pattern of its name."""
    path = folder / host / "laravel.log"
    path.parent.mkdir(exist_ok=True)
    lines = (
        f"[{AS_OF - timedelta(seconds=ago):%Y-%m-%d %H:%M:%S}] production.{text} \n" for ago, text in said
    )
    path.write_text("".join(lines))
    return f"{path.parent}/*.log"


def counted(folder: Path, host: str, said: list[Said], since: datetime = NIGHT) -> Counted:
    """What the host's worker counts, having gone through JSON as between two tasks."""
    pattern = write(folder, host, sorted(said, reverse=True))
    found = count(SETTINGS, timeline(since), [pattern], present=AS_OF)
    return Counted.from_json(json.loads(json.dumps(found.to_json())))


def of(collected: Collected, metric: str) -> Sample:
    return next(s for s in collected.samples if s.metric == metric)


said_by_hosts = st.lists(
    st.lists(
        st.tuples(
            st.one_of(st.integers(1, 90), st.integers(3000, 3700), st.integers(1, 26 * 3600)),
            st.sampled_from(SAYS),
        ),
        max_size=25,
    ),
    min_size=1,
    max_size=4,
)


@given(hosts=said_by_hosts, hours=st.sampled_from([0, 1, 15, 30]))
@examples(max_examples=80)
@example(hosts=[[(60, SAYS[0])] * 3, [(60, SAYS[0])] * 3], hours=1)
@example(hosts=[[], [], []], hours=1)
def test_hosts_together_are_one_log_that_holds_all_records(hosts: list[list[Said]], hours: int) -> None:
    since = AS_OF - timedelta(hours=hours)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = {f"web{i}": counted(folder, f"web{i}", said, since) for i, said in enumerate(hosts)}
        together = combine(SETTINGS, timeline(since), given)
        whole = write(folder, "whole", sorted((s for said in hosts for s in said), reverse=True))
        application = SETTINGS.application.model_copy(update={"logs": (whole,)})
        one = laravel_log.collect(
            SETTINGS.model_copy(update={"application": application}), timeline(since), present=AS_OF
        )
    assert together.samples == one.samples
    for fact in ("critical_records_today", "today", "sightings", "newest_record"):
        assert together.facts[fact] == one.facts[fact]
    assert "missing_hosts" not in together.facts


def test_a_burst_over_two_hosts_is_one_burst(tmp_path: Path) -> None:
    """Three failures on each of two hosts, within an hour of each other or not."""
    one = counted(tmp_path, "web1", [(2000, SAYS[0]), (2100, SAYS[0]), (2200, SAYS[0])])
    soon = counted(tmp_path, "web2", [(4000, SAYS[0]), (4100, SAYS[0]), (4200, SAYS[0])])
    late = counted(tmp_path, "web3", [(9000, SAYS[0]), (9100, SAYS[0]), (9200, SAYS[0])])
    burst = of(combine(SETTINGS, timeline(), {"web1": one, "web2": soon}), "phase_creation_failures")
    assert (burst.value, burst.numerator, burst.detail["last_24h"]) == (6, 6, 6)
    assert burst.detail["burst_at"] == (AS_OF - timedelta(seconds=2000)).isoformat()
    apart = of(combine(SETTINGS, timeline(), {"web1": one, "web3": late}), "phase_creation_failures")
    assert (apart.value, apart.numerator) == (3, 6)


def test_the_facts_name_the_host_of_each_file(tmp_path: Path) -> None:
    given = {host: counted(tmp_path, host, [(60, SAYS[0])]) for host in ("web1", "web2")}
    facts = combine(SETTINGS, timeline(), given).facts
    assert facts["globs"] == {f"{tmp_path}/web1/*.log on web1": 1, f"{tmp_path}/web2/*.log on web2": 1}
    assert [(f["host"], f["path"]) for f in facts["files"]] == [
        (host, f"{tmp_path}/{host}/laravel.log") for host in ("web1", "web2")
    ]
    assert facts["bytes_read"] == sum(f["bytes_read"] for f in facts["files"]) > 0


# --- between two tasks ---


def test_what_travels_is_what_was_counted(tmp_path: Path) -> None:
    said = [(ago, SAYS[ago % len(SAYS)]) for ago in range(1, 5000, 7)]
    found = count(SETTINGS, timeline(), [write(tmp_path, "web1", said[::-1])], present=AS_OF)
    there = Counted.from_json(json.loads(json.dumps(found.to_json())))
    assert there.to_json() == found.to_json()
    for ours, theirs in zip(found.tallies, there.tallies, strict=True):
        assert (ours.since, ours.newest, ours.series) == (theirs.since, theirs.newest, theirs.series)
        assert sorted(ours.numbers) == list(theirs.numbers)
    assert any(tally.numbers for tally in there.tallies)
    assert (there.sign, there.globs, there.newest, there.written) == (
        found.sign, found.globs, found.newest, found.written,
    )  # fmt: skip


def test_a_busy_night_is_small_and_says_nothing_of_the_log(tmp_path: Path) -> None:
    """A check in the morning: 15 hours, a record of any kind each second, and 10,800 durations to the hundredth."""
    draw = random.Random(7)
    said = []
    for ago in range(15 * 3600, 0, -1):
        said.append((ago, f"{draw.choice(SAYS)} of Erika Mustermann"))
        if ago % 5 == 0:
            said.append((ago, f"{SAYS[1].partition('37.5')[0]}{draw.gammavariate(4, 9):.2f}}}"))
    found = count(SETTINGS, timeline(), [write(tmp_path, "web1", said)], present=AS_OF)
    text = json.dumps(found.to_json())
    assert sum(len(t.numbers) for t in found.tallies) > 20_000
    assert len(text) < 60_000
    assert "Mustermann" not in text
    nothing = count(SETTINGS, timeline(), [write(tmp_path, "web2", [(5, SAYS[-1])])], present=AS_OF)
    assert len(json.dumps(nothing.to_json())) < 3_000


def test_seconds_with_more_records_than_fit_do_not_run_into_the_next_whatever_the_number_of_hosts() -> None:
    asked = Asked(SETTINGS, timeline())
    first = next(f for f in asked.plan.series_from if f is not None)
    total = Tally(asked.plan, first)
    for _ in range(5):
        busy = Tally(asked.plan, first)
        busy.note([first + 10] * 70_000 + [first + 11])
        total.add(busy)
    assert total.series[10] >= 32_767
    assert total.series[11] == 5
    assert total.series[12:] == array("H", bytes(2 * (len(total.series) - 12)))


def test_counts_of_other_settings_are_not_added(tmp_path: Path) -> None:
    """A worker that was not deployed along: its host is missing, its numbers are not mixed with the others'."""
    ours = counted(tmp_path, "web1", [(60, SAYS[0])])
    theirs = counted(tmp_path, "web2", [(60, SAYS[0])], since=NIGHT - timedelta(hours=1))
    collected = combine(SETTINGS, timeline(), {"web1": ours, "web2": theirs})
    assert collected.facts["missing_hosts"] == {
        "web2": "it was counted with other settings: give its worker the same settings and the same version"
    }


# --- a host is missing ---


def test_a_missing_host_costs_what_it_must(tmp_path: Path) -> None:
    burst = [(600 + i, SAYS[0]) for i in range(7)]
    others = [(60, SAYS[1])] * 12 + [(60, SAYS[4])] * 20 + [(60, SAYS[5])] * 5
    given: dict[str, Any] = {"web1": counted(tmp_path, "web1", burst + others), "web2": "its worker is off"}
    collected = combine(SETTINGS, timeline(), given)
    why = "the log of web2 is missing (its worker is off)"
    fires = of(collected, "phase_creation_failures")
    assert (fires.value, fires.loss, fires.reason) == (7, None, f"at least: {why}")
    lost = {
        s.metric for s in collected.samples if s.loss is Loss.SOURCE and s.value is None and s.reason == why
    }
    assert lost == set(SETTINGS.enabled("log")) - {"phase_creation_failures"}
    assert collected.facts["missing_hosts"] == {"web2": "its worker is off"}
    assert collected.facts["sightings"]["phase_creation_failures.match"]


def test_a_rule_at_its_bound_is_not_above_it(tmp_path: Path) -> None:
    given = {"web1": counted(tmp_path, "web1", [(60, SAYS[0])] * 5), "web2": "its worker is off"}
    assert of(combine(SETTINGS, timeline(), given), "phase_creation_failures").loss is Loss.SOURCE


@pytest.mark.parametrize(
    ("ago", "earlier", "value"),
    [
        ([3700] * 7, [], 7),
        ([3700] * 7, [(1, ["web1"])], None),
        ([3700] * 7, [(1, ["web1", "web3"]), (2, [])], None),
        ([3700] * 7, [(1, ["web3"])], 7),
        ([9000] * 7, [(2, ["web1"]), (1, ["web3"])], None),
        ([3700] * 6 + [3500], [(1, ["web1"])], 7),
        ([3700] * 6 + [60], [(1, ["web1"])], None),
        ([9000] * 9 + [60] * 6, [(1, ["web1"])], 6),
    ],
    ids=[
        "the first check",
        "told an hour ago",
        "with a host more then",
        "nobody has read this host",
        "the newest check had other hosts",
        "it goes on",
        "it is over",
        "a smaller one since",
    ],
)
def test_what_an_earlier_check_without_a_host_told_does_not_fire_again(
    tmp_path: Path, ago: list[int], earlier: list[tuple[int, list[str]]], value: int | None
) -> None:
    given: dict[str, Any] = {
        "web1": counted(tmp_path, "web1", [(a, SAYS[0]) for a in ago]),
        "web2": "its worker is off",
    }
    before = [(AS_OF - timedelta(hours=hours), hosts) for hours, hosts in earlier]
    sample = of(combine(SETTINGS, timeline(), given, before), "phase_creation_failures")
    assert (sample.value, sample.loss) == (value, None if value else Loss.SOURCE)
    # When the host is back and knows of nothing, that is no news either; of what it knows all is counted anew.
    given["web2"] = counted(tmp_path, "web2", [(4000, SAYS[1])])
    back = of(combine(SETTINGS, timeline(), given, before), "phase_creation_failures")
    assert back.value == value or (value is None and back.value <= 5)
    assert (back.loss, back.numerator) == (None, len(ago))
    given["web2"] = counted(tmp_path, "web2", [(4000, SAYS[0])])
    whole = of(combine(SETTINGS, timeline(), given, before), "phase_creation_failures")
    assert whole == of(combine(SETTINGS, timeline(), given), "phase_creation_failures")


@pytest.mark.parametrize(("ago", "fires"), [(3700, False), (3600, True), (60, True)])
def test_a_line_that_was_told_is_no_news_without_a_host(tmp_path: Path, ago: int, fires: bool) -> None:
    line = "INFO: processing_time_auto_create_phases is false"
    given: dict[str, Any] = {"web1": counted(tmp_path, "web1", [(ago, line)]), "web2": "its worker is off"}
    before = [(AS_OF - timedelta(hours=1), ["web1"])]
    sample = of(combine(SETTINGS, timeline(), given, before), "observer_disabled")
    assert (sample.loss is None) is fires


def test_a_check_without_a_host_says_so_once_and_reads_the_stretch_again(tmp_path: Path) -> None:
    """One alert about the source, not one for each metric; what fires keeps its own."""
    given = {
        "web1": counted(tmp_path, "web1", [(600, SAYS[0])] * 7),
        "web2": "its worker is off",
        "web3": "no file",
    }
    collected = combine(SETTINGS, timeline(), given)
    told = {
        "mysql": Collected((), {"traffic": 100}),
        "log": collected,
        "redis": Collected((), {"entries": 1}),
    }
    verdicts = evaluate(told, {}, Memory(), SETTINGS, timeline(), AS_OF)
    states = {v.metric: v.state for v in verdicts if v.metric in SETTINGS.enabled("log")}
    assert states.pop("phase_creation_failures") is State.ALERT
    assert set(states.values()) == {State.UNKNOWN}
    found = {
        f.rule: f for f in findings(verdicts, frozenset(), SETTINGS, AS_OF) if f.evidence is Evidence.BAD
    }
    source = found["source.log.unknown"]
    assert (
        source.reason
        == "the log of web2 is missing (its worker is off); the log of web3 is missing (no file)"
    )
    assert set(source.hides) == set(states)
    assert all(found[f"{key}.unknown"].silent for key in states)
    assert "at least: the log of web2 is missing" in found["phase_creation_failures"].reason
    assert measured_whole({name: c.facts for name, c in told.items()}) == ["mysql", "redis"]


def test_when_all_are_missing_the_log_cannot_be_read() -> None:
    with pytest.raises(SourceUnavailable) as error:
        combine(SETTINGS, timeline(), {"web1": "no file", "web2": "its worker is off"})
    assert (
        str(error.value)
        == "the log of web1 is missing (no file); the log of web2 is missing (its worker is off)"
    )


@pytest.mark.parametrize("empty", [False, True])
def test_a_host_that_is_silent_while_another_speaks_is_missing(tmp_path: Path, empty: bool) -> None:
    long_ago = 49 * 3600
    loud = counted(tmp_path, "web1", [(60, SAYS[0])])
    pattern = write(tmp_path, "web2", [] if empty else [(long_ago, SAYS[0])])
    written = AS_OF.timestamp() - long_ago
    os.utime(tmp_path / "web2" / "laravel.log", (written, written))
    silent = count(SETTINGS, timeline(), [pattern], present=AS_OF)
    facts = combine(SETTINGS, timeline(), {"web1": loud, "web2": silent}).facts
    assert facts["missing_hosts"] == {"web2": "it has written nothing since 2026-03-08 11:00"}
    # When nobody speaks, that is for the lines that show a log alive to tell.
    assert "missing_hosts" not in combine(SETTINGS, timeline(), {"web2": silent}).facts
    third = count(
        SETTINGS,
        timeline(),
        [str(shutil.copytree(tmp_path / "web2", tmp_path / "web3") / "*")],
        present=AS_OF,
    )
    assert third.written == silent.written
    assert "missing_hosts" not in combine(SETTINGS, timeline(), {"web2": silent, "web3": third}).facts


def test_a_file_that_two_tasks_have_read_counts_once(tmp_path: Path) -> None:
    """One machine's worker takes the queues of both, as `airflow dags test` does, which runs all tasks where it is."""
    first = counted(tmp_path, "web1", [(60, SAYS[0])] * 4)
    own = f"{tmp_path}/web1/*.log"
    again = count(SETTINGS, timeline(), [f"{tmp_path}/*/*.log"], present=AS_OF)
    again = Counted.from_json(json.loads(json.dumps(again.to_json())))
    collected = combine(SETTINGS, timeline(), {"web1": first, "web2": again})
    assert collected.facts["missing_hosts"] == {
        "web2": f"its task has read {tmp_path}/web1/laravel.log, which that of web1 has read, too: let no worker take the"
        " queues of both"
    }
    assert collected.facts["globs"] == {f"{own} on web1": 1}
    assert [set(file) for file in collected.facts["files"]] == [{"path", "bytes_read", "host"}]
    assert of(collected, "phase_creation_failures").loss is Loss.SOURCE


def test_an_empty_log_that_is_new_is_a_quiet_host(tmp_path: Path) -> None:
    """Rotated at midnight, and nothing has happened since."""
    given = {"web1": counted(tmp_path, "web1", [(60, SAYS[0])]), "web2": counted(tmp_path, "web2", [])}
    assert "missing_hosts" not in combine(SETTINGS, timeline(), given).facts


def test_a_kind_of_file_that_vanishes_on_one_host_is_told_with_the_host(tmp_path: Path) -> None:
    gone = f"{tmp_path}/web2/calcom*.log"

    def check() -> Collected:
        first = counted(tmp_path, "web1", [(60, SAYS[0])])
        patterns = [write(tmp_path, "web2", [(60, SAYS[0])]).replace("*", "laravel"), gone]
        second = count(SETTINGS, timeline(), patterns, present=AS_OF)
        return combine(SETTINGS, timeline(), {"web1": first, "web2": second})

    (tmp_path / "web2").mkdir()
    (tmp_path / "web2" / "calcom.log").touch()
    seen = glob_sightings(check().facts, AS_OF - timedelta(hours=1))
    assert f"glob:{gone} on web2"[-100:] in seen
    (tmp_path / "web2" / "calcom.log").unlink()
    memory = Memory(sightings={name: datetime.fromisoformat(at) for name, at in seen.items()})
    told = believable({"log": check()}, memory, SETTINGS, AS_OF)["log"]
    assert isinstance(told, str)
    assert told.startswith(f"{gone} on web2 matches no file any more")


def test_settings_of_hosts() -> None:
    settings = load({"application": {"log_hosts": {"web1": {"queue": "web1"}}}})
    assert isinstance(settings, Settings)
    assert settings.application.log_hosts["web1"].logs is None
    assert SETTINGS.application.log_hosts == {}
    assert SETTINGS.application.log_host_wait == timedelta(minutes=2)


@pytest.mark.parametrize(
    ("sample", "answer", "facts"),
    [
        (Sample("phase_creation_failures", timeline().windows["today"], value=3, detail={"last_24h": 9}),
         "; the check of Tue 10 Mar 12:00 counted 9", {"log_errors": 9}),
        (Sample("phase_creation_failures", timeline().windows["today"], detail={"last_24h": 9}).lost(
            Loss.SOURCE, "the log of web2 is missing"), "", {}),
        (None, "", {}),
    ],
    ids=["counted", "a host was missing", "no check"],
)  # fmt: skip
def test_a_diagnosis_says_on_which_hosts_to_look(
    sample: Sample | None, answer: str, facts: dict[str, int]
) -> None:
    hosts = {name: {"queue": name} for name in ("web1", "web2")}
    store = SimpleNamespace(
        newest_finished=lambda: AS_OF if sample else None,
        verdicts=lambda at: [judge(sample, SETTINGS)] if sample and at == AS_OF else [],
    )
    hands: Any = SimpleNamespace(settings=load({"application": {"log_hosts": hosts}}), store=store)
    request: Any = SimpleNamespace(as_of=AS_OF)
    (finding,) = diagnosis_log.findings(request, hands)
    assert finding.answer == f"not read here: each host has a log of its own{answer}"
    assert finding.then == "look for AppointmentPhase in the logs of web1, web2"
    assert finding.facts == facts
