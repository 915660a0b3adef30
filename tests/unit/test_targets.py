# SPDX-License-Identifier: MIT
"""Settings of several applications: what a target lays over the common ones, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from processing_time.messages.blocks import render
from processing_time.messages.document import Call, Facts, Items, Links, Message, Note, Paragraph
from processing_time.settings import (
    SettingsError,
    load,
    load_each,
    load_for_dags,
    load_one,
    load_usable,
    target_names,
)


def given(monkeypatch: pytest.MonkeyPatch, targets: Any) -> None:
    """Set the targets."""
    monkeypatch.setenv("PROCESSING_TIME__TARGETS", json.dumps(targets))


def test_without_targets_there_is_one_nameless_application() -> None:
    (settings,) = load_each()
    assert (target_names(), settings.target, settings) == ((), "", load())
    assert settings.dag_id("processing_time_incident") == "processing_time_incident"
    assert settings.incident_dag == "processing_time_incident"
    sentence = "the connection processing_time_mysql needs processing_time_monitor"
    assert settings.named(sentence) == sentence


def test_a_target_is_laid_over_the_common_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    given(
        monkeypatch,
        {"berlin": {}, "hamburg": {"slack": {"channels": {"high": "C0HH"}}, "silent_after": "3d"}},
    )
    monkeypatch.setenv("PROCESSING_TIME__SLACK__CHANNELS", '{"info": "C0INFO", "high": "C0HIGH"}')
    monkeypatch.setenv("PROCESSING_TIME__TARGETS__BERLIN__APPLICATION__LOGS", '["/srv/berlin/*.log"]')
    berlin, hamburg = load_each()
    assert (berlin.target, hamburg.target) == target_names() == ("berlin", "hamburg")
    assert (berlin.slack.channels.high, hamburg.slack.channels.high) == ("C0HIGH", "C0HH")
    assert (berlin.slack.channels.info, hamburg.slack.channels.info) == ("C0INFO", "C0INFO")
    assert berlin.application.logs == ("/srv/berlin/*.log",)
    assert hamburg.application.logs == load().application.logs
    assert (berlin.silent_after.days, hamburg.silent_after.days) == (2, 3)
    assert [s.target for s in load_each("processing_time_incident__hamburg")] == ["hamburg"]
    assert load_one("hamburg") == hamburg


def test_connections_end_with_the_name_but_for_slack_and_those_that_are_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given(monkeypatch, {"berlin": {"connections": {"mysql": "berlin_reader"}}})
    settings = load(target="berlin")
    ids = settings.connections
    assert (ids.mysql, ids.store) == ("berlin_reader", "processing_time_store__berlin")
    assert (ids.slack, ids.metrics) == ("processing_time_slack", "processing_time_metrics")
    assert settings.named(
        "see processing_time_mysql, processing_time_mysql_write: processing_time_monitor."
    ) == ("see berlin_reader, processing_time_mysql_write__berlin: processing_time_monitor_berlin.")
    assert settings.incident_dag == "processing_time_incident__berlin"


def test_another_incident_dag_keeps_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, {"berlin": {"escalation": {"incident_dag": "ours"}}})
    assert load(target="berlin").incident_dag == "ours"


@pytest.mark.parametrize(
    ("targets", "sentence"),
    [
        (["berlin"], "targets = ['berlin'] is not a mapping: write a name and below it what differs there"),
        (
            {"Berlin": {}},
            "targets.Berlin is not a usable name: small letters, digits and single _ only, at most 30",
        ),
        (
            {"a__b": {}},
            "targets.a__b is not a usable name: small letters, digits and single _ only, at most 30",
        ),
        (
            {"berlin": None},
            "targets.berlin = None is not a mapping: write below it what differs there, or {}",
        ),
        ({"berlin": {"targets": {}}}, "targets.berlin.targets is not a setting"),
        ({"berlin": {"connections": []}}, "targets.berlin.connections = [] is not a mapping of ids"),
        (
            {"berlin": {"timezoen": "UTC"}},
            "targets.berlin: timezoen is not a setting; did you mean timezone?",
        ),
        (
            {"a": {"connections": {"store": "s"}}, "b": {"connections": {"store": "s"}}},
            "targets.b.connections.store = 's' is that of a, too: each target needs a schema of its own",
        ),
        (
            {"berlin": {"connections": {"store": ["s"]}}},
            "targets.berlin: connections.store = ['s'] is not valid: input should be a valid string",
        ),
        (
            {"berlin": {"connections": {"store": "a b"}}},
            (
                "targets.berlin: connections.store = 'a b' is not an id of an Airflow connection: letters, digits, _, -"
                " and . only"
            ),
        ),
    ],
)
def test_each_fault_is_one_sentence(monkeypatch: pytest.MonkeyPatch, targets: Any, sentence: str) -> None:
    given(monkeypatch, targets)
    with pytest.raises(SettingsError) as fault:
        list(load_each())
    assert str(fault.value) == sentence


def test_connections_that_are_none_are_told_with_targets_too(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, {"berlin": {}})
    monkeypatch.setenv("PROCESSING_TIME__CONNECTIONS", "[]")
    with pytest.raises(SettingsError, match=r"^connections = \[\] is not a mapping of ids$"):
        load(target="berlin")


FAULTY = {
    "berlin": {},
    "hamburg": {
        "schedule": {"health_check": "7 8-20 * * *"},
        "timezone": "Europe/Hamburg",
        "slack": {"channels": {"high": "C0HH"}},
        "silent_after": "2 weeks",
    },
}


def test_a_fault_of_one_target_leaves_the_others_their_dags(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    given(monkeypatch, FAULTY)
    berlin, hamburg = load_for_dags(None)
    assert (berlin, berlin.target) == (load(target="berlin"), "berlin")
    assert "targets.hamburg: timezone = 'Europe/Hamburg' is not a known time zone" in caplog.text
    assert "targets.hamburg: silent_after = '2 weeks' is not a duration" in caplog.text
    assert hamburg.target == "hamburg"
    assert (hamburg.timezone, hamburg.silent_after) == (berlin.timezone, berlin.silent_after)
    assert (hamburg.schedule.health_check, hamburg.slack.channels.high) == ("7 8-20 * * *", "C0HH")
    assert hamburg.connections.store == "processing_time_store__hamburg"
    assert [s.target for s in load_for_dags("processing_time_incident__hamburg")] == ["hamburg"]
    assert load_usable("hamburg") == hamburg
    with pytest.raises(SettingsError, match=r"^targets\.hamburg: "):
        load(target="hamburg")


@pytest.mark.parametrize("fault", ["targets", "common"])
def test_a_fault_of_all_targets_is_an_error_of_the_file(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    wrong = {"timezone": "Europe/Hamburg"}
    given(
        monkeypatch,
        {"berlin": wrong, "hamburg": wrong} if fault == "targets" else {"berlin": {}, "hamburg": {}},
    )
    if fault == "common":
        monkeypatch.setenv("PROCESSING_TIME__TIMEZONE", "Europe/Hamburg")
    with pytest.raises(SettingsError, match=r"^targets\.berlin: timezone = 'Europe/Hamburg'"):
        load_for_dags(None)


def test_a_target_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, {"berlin": {}, "hamburg": {}})
    with pytest.raises(SettingsError, match=r"^there is no target 'berlim'; did you mean berlin\?$"):
        load(target="berlim")
    with pytest.raises(SettingsError, match=r"^name one of the targets: berlin, hamburg$"):
        load_one("")


def test_the_name_of_a_target_is_not_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCESSING_TIME__TARGET", "berlin")
    with pytest.raises(
        SettingsError,
        match=r"^PROCESSING_TIME__TARGET is not a setting; did you mean PROCESSING_TIME__TARGETS\?: correct",
    ):
        load()


def test_a_message_names_its_target_and_the_connections_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, {"berlin": {}})
    about = "processing_time_redis"
    message = Message(
        "CRITICAL",
        (
            Paragraph(about, label=about),
            Facts({about: about}),
            Items(about, (about,), about),
            Call("<!here>", about),
            Note((about,)),
            Links({about: "https://example.org/"}),
        ),
    )
    told = json.dumps(render(message, load(target="berlin")), ensure_ascii=False)
    assert "berlin · CRITICAL" in told
    assert told.count("processing_time_redis") == told.count("processing_time_redis__berlin") > 6
    assert "__berlin" not in json.dumps(render(message, load()))
