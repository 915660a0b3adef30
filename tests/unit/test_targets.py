# SPDX-License-Identifier: MIT
"""Settings of several applications: what a target lays over the common ones, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from processing_time.messages.blocks import render
from processing_time.messages.document import Call, Facts, Items, Links, Message, Note, Paragraph
from processing_time.settings import SettingsError, load, load_each, load_one, target_names


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
