# SPDX-License-Identifier: MIT
"""Whatever is typed into the incident form becomes a request of checked values, or one sentence."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processing_time.incident.action import Outcome, Refused, Request
from processing_time.incident.audit import Answer, approved_by, conclude
from processing_time.incident.registry import REGISTRY, load, lock_of
from processing_time.incident.request import ID, parse
from processing_time.settings import load as load_settings

SETTINGS = load_settings()
AS_OF = datetime(2026, 6, 10, 12, tzinfo=UTC)
UUID = "353832AB-f511-5d25-a1e0-1936f7a5b6fb"


def asked(**params: Any) -> Request:
    return parse({"action": "diagnose", **params}, SETTINGS, as_of=AS_OF, requested_by="anna")


def test_an_empty_form_is_a_dry_diagnosis() -> None:
    assert asked() == Request("diagnose", dry_run=True, as_of=AS_OF, requested_by="anna")


def test_a_form_that_is_filled_in() -> None:
    request = asked(
        action="create_missing_phases",
        dry_run=False,
        alert_id=41,
        company_id=2,
        service_id=UUID,
        appointment_ids=f" 7, 8\n{UUID};7",
        reason="the lock is gone",
    )
    assert request.appointment_ids == ("7", "8", UUID.lower())
    assert (request.company_id, request.service_id, request.alert_id) == (2, UUID.lower(), 41)
    assert Request.from_json(request.to_json()) == request


def test_ids_may_come_as_a_list_of_numbers_too() -> None:
    assert asked(action="rollback", appointment_ids=[7, "8"]).appointment_ids == ("7", "8")


def test_a_time_without_an_offset_is_in_the_zone_of_the_settings() -> None:
    until = asked(action="mute", rule="stale_phases", until="2026-06-11T08:00").until
    assert until == datetime(2026, 6, 11, 6, tzinfo=UTC)


REFUSED = {
    "unknown action": ({"action": "rolback"}, "action = 'rolback' does not exist: did you mean rollback?"),
    "hostile action": ({"action": "; rm -rf /"}, "action does not exist: choose one of diagnose, "),
    "no action": ({"action": None}, "action = 'None' does not exist: "),
    "dry run": ({"dry_run": "no"}, "dry_run = 'no' is neither true nor false: write true or false"),
    "alert": ({"alert_id": 0}, "alert_id = '0' is not a whole number above 0: write one, such as 12"),
    "alert yes": ({"alert_id": True}, "alert_id = 'True' is not a whole number above 0"),
    "alert beyond the column": ({"alert_id": 2**63}, f"alert_id = '{2**63}' is not a whole number above 0"),
    "service": (
        {"service_id": "1 OR 1=1"},
        "service_id holds something else, which is neither a whole number nor a",
    ),
    "other digits": ({"service_id": "١٢"}, "service_id holds something else, which is neither"),
    "percent": (
        {"action": "rollback", "appointment_ids": "1,%(x)s"},
        "appointment_ids holds something else, which is neither a whole number nor a UUID: correct it",
    ),
    "too many": (
        {"action": "rollback", "appointment_ids": list(range(1, 10_001))},
        "appointment_ids holds 10000 ids and may hold 500: do it in portions, or raise incident.max_appointments",
    ),
    "key": ({"cache_key": "a b"}, "cache_key cannot be used: write one key without blanks"),
    "key with a line": ({"cache_key": "week\nFLUSHALL"}, "cache_key cannot be used"),
    "rule": (
        {"action": "mute", "rule": "stale_phase"},
        "rule = 'stale_phase' does not exist: did you mean stale_phases?",
    ),
    "hostile rule": (
        {"action": "mute", "rule": "x' OR ''='"},
        "rule cannot be used: write the name of a metric",
    ),
    "until": (
        {"action": "mute", "until": "tomorrow"},
        "until = 'tomorrow' is not a time: write it like 2026-03-29T12:00, which is in Europe/Berlin",
    ),
    "until too late": ({"action": "mute", "until": "9999-12-31T23:59:59-12:00"}, "until = '9999"),
    "reason": ({"reason": "a\nb c"}, "reason cannot be used: write 3 to 300 characters on one line"),
    "long reason": ({"reason": "x" * 301}, "reason cannot be used"),
    "other action's": (
        {"action": "disable_feature", "company_id": 2},
        "company_id means nothing to disable_feature: leave it empty",
    ),
}


@pytest.mark.parametrize(("params", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_one_sentence(params: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refused) as refused:
        asked(**params)
    assert str(refused.value).startswith(sentence)
    assert "\n" not in str(refused.value)


@given(st.text(), st.sampled_from(["service_id", "appointment_ids", "cache_key", "rule", "until", "reason"]))
def test_nothing_but_ids_keys_and_names_gets_through(text: str, param: str) -> None:
    action = next(name for name, entry in REGISTRY.items() if param in entry.takes or param == "reason")
    try:
        request = asked(action=action, **{param: text})
    except Refused as refused:
        assert len(str(refused)) < 400  # noqa: PT017  # both ways are right
        return
    for id_ in (*request.appointment_ids, *filter(None, [request.service_id])):
        assert re.fullmatch(ID, id_, re.ASCII)
    for word in filter(None, (request.cache_key, request.rule)):
        assert word.isprintable()
        assert " " not in word
    assert "\n" not in (request.reason or "")


@pytest.mark.parametrize("name", REGISTRY)
def test_every_action_of_the_form_exists(name: str) -> None:
    action = load(name)
    assert callable(action.plan)
    assert callable(action.act)
    assert len(f"processing_time.{'0' * 16}.{lock_of(name)}") <= 64, "MySQL's longest name of a lock"


def test_actions_that_decide_about_phases_share_a_lock() -> None:
    feature = {n for n in REGISTRY if lock_of(n) == lock_of("rollback")}
    assert feature == {"create_missing_phases", "disable_feature", "enable_feature", "rollback", "relaunch"}


# --- how it ended -------------------------------------------------------------------------------------------

YES, NO, SILENCE = Answer(True, "1", "anna"), Answer(False, "2", "ben"), Answer(False, None)
DONE = {"outcome": "done", "lines": ["Removed."], "detail": {}}
REFUSAL = {"outcome": "refused", "sentence": "There is none.", "detail": {}}

ENDINGS = {
    "done": (({}, [YES], DONE, None), Outcome.DONE, "Removed."),
    "rejected": (({}, [NO], None, None), Outcome.REJECTED, "ben rejected it; nothing was done."),
    "second says no": (({}, [YES, NO], None, None), Outcome.REJECTED, "ben rejected it"),
    "silence": (({}, [SILENCE], None, None), Outcome.TIMED_OUT, "Nobody answered in time"),
    "second is silent": (({}, [YES, SILENCE], None, None), Outcome.TIMED_OUT, "Nobody answered in time"),
    "refused at first": ((None, [], None, REFUSAL), Outcome.REFUSED, "There is none."),
    "refused when acting": (({}, [YES], None, REFUSAL), Outcome.REFUSED, "There is none."),
    "crashed at first": ((None, [], None, None), Outcome.FAILED, "It could not be planned"),
    "crashed when acting": (({}, [YES], None, None), Outcome.FAILED, "It did not come to its end"),
}


@pytest.mark.parametrize(("left", "outcome", "line"), ENDINGS.values(), ids=ENDINGS)
def test_how_a_run_ended(left: tuple[Any, ...], outcome: Outcome, line: str) -> None:
    result = conclude(*left)
    assert result.outcome is outcome
    assert result.lines[0].startswith(line)


def test_only_those_who_said_yes_are_named() -> None:
    assert approved_by([YES, Answer(True, "3")]) == "anna, 3"
    assert approved_by([YES, NO]) == "anna"
    assert approved_by([SILENCE]) is None
