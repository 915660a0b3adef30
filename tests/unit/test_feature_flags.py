# SPDX-License-Identifier: MIT
"""The application's .env as flags, and the rule that decides which services the flags let through."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from processing_time.model import SourceUnavailable
from processing_time.sources.feature_flags import FeatureFlags, eligible, read

KEY = "FEATURE_PROCESSING_TIME_"
UUID = "0b8c4f1e-9f6e-4a52-8f5e-0d6b6a1f2c3d"


@pytest.fixture
def env(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def flags_of(env: Path, text: str) -> FeatureFlags:
    env.write_text(text, encoding="utf-8")
    return read(env)


def test_no_env_file_is_not_configured() -> None:
    assert read(None) == FeatureFlags(configured=False)


def test_missing_keys_have_the_application_s_defaults(env: Path) -> None:
    assert flags_of(env, "APP_NAME=Salon\n") == FeatureFlags(
        configured=True,
        enabled=False,
        service_whitelist=frozenset(),
        company_whitelist=frozenset(),
        auto_create_phases=True,
        show_ui=True,
        calcom_sync=True,
    )


def test_every_key_reaches_its_flag(env: Path) -> None:
    text = (
        f"{KEY}ENABLED=true\n{KEY}SERVICE_WHITELIST=7,{UUID.upper()}\n{KEY}COMPANY_WHITELIST=1,5,12\n"
        f"{KEY}AUTO_PHASES=false\n{KEY}SHOW_UI=false\n{KEY}CALCOM_SYNC=false\n"
    )
    assert flags_of(env, text) == FeatureFlags(
        configured=True,
        enabled=True,
        service_whitelist=frozenset({"7", UUID}),
        company_whitelist=frozenset({1, 5, 12}),
        auto_create_phases=False,
        show_ui=False,
        calcom_sync=False,
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *(
            (text, True)
            for text in ("true", "TRUE", "(true)", "1", "on", "yes", '"true"', "'true'", " true ")
        ),
        ("true # switched on for the pilot", True),
        ('"true" # switched on for the pilot', True),
        *((text, False) for text in ("false", "False", "(false)", "0", "", '""', "null", "(null)", "empty")),
        ("false # not yet", False),
    ],
)
def test_booleans_as_laravel_reads_them(env: Path, written: str, meant: bool) -> None:
    # Against the other default each time, so that a key that was not read shows.
    key, flag = ("ENABLED", "enabled") if meant else ("SHOW_UI", "show_ui")
    assert getattr(flags_of(env, f"{KEY}{key}={written}\n"), flag) is meant


def test_a_key_without_a_value_is_missing(env: Path) -> None:
    assert flags_of(env, f"{KEY}SHOW_UI\n").show_ui is True


def test_export_crlf_and_byte_order_mark(env: Path) -> None:
    env.write_bytes(b"\xef\xbb\xbf" + f"export {KEY}ENABLED=true\r\n{KEY}COMPANY_WHITELIST=3\r\n".encode())
    found = read(env)
    assert (found.enabled, found.company_whitelist) == (True, {3})


def test_whitelists_may_hold_blanks_and_gaps(env: Path) -> None:
    found = flags_of(env, f'{KEY}SERVICE_WHITELIST=" 7 , ,8,"\n{KEY}COMPANY_WHITELIST="0, 2 ,"\n')
    assert (found.service_whitelist, found.company_whitelist) == ({"7", "8"}, {2})


@pytest.mark.parametrize("nothing", ["", "null", "(empty)"])
def test_empty_whitelists(env: Path, nothing: str) -> None:
    found = flags_of(env, f"{KEY}SERVICE_WHITELIST={nothing}\n{KEY}COMPANY_WHITELIST={nothing}\n")
    assert (found.service_whitelist, found.company_whitelist) == (frozenset(), frozenset())


def test_other_variables_are_not_expanded_nor_kept(env: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ON", "true")
    env.write_text(f"DB_PASSWORD=geheim\n{KEY}ENABLED=${{ON}}\n", encoding="utf-8")
    with pytest.raises(SourceUnavailable, match=r"\$\{ON\}"):
        read(env)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"{KEY}ENABLED=maybe\n", f"{KEY}ENABLED = 'maybe' is neither true nor false"),
        (f"{KEY}SHOW_UI=off\n", "write true or false"),
        (f"{KEY}COMPANY_WHITELIST=1,berlin\n", "holds 'berlin'"),
        (f"{KEY}SERVICE_WHITELIST=12,15#pilot\n", "holds '15#pilot'"),
        (f"{KEY}SERVICE_WHITELIST=${{PILOTS}}\n", "write service ids with commas"),
        (f'{KEY}ENABLED="true\nAPP_KEY=x\n', "close its quotes"),
        (f"APP_NAME='Salon\n{KEY}ENABLED=true\nAPP_X='y'\n", "close its quotes"),
    ],
)
def test_nonsense_is_refused_with_the_key_and_the_fix(env: Path, text: str, sentence: str) -> None:
    with pytest.raises(SourceUnavailable) as refused:
        flags_of(env, text)
    assert sentence in str(refused.value)
    assert "application.env_file" in str(refused.value)


def test_a_file_that_is_not_there_names_the_setting(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.env", tmp_path):
        with pytest.raises(SourceUnavailable, match=r"application\.env_file = .* cannot be read"):
            read(path)


def test_a_file_that_is_not_text(env: Path) -> None:
    env.write_bytes(b"\x80\x81\xff\n")
    with pytest.raises(SourceUnavailable, match=r"application\.env_file"):
        read(env)


def test_json_round_trip() -> None:
    flags = FeatureFlags(True, True, frozenset({"b", "a"}), frozenset({12, 5}), False, True, False)
    told = json.loads(json.dumps(flags.to_json()))
    assert (told["service_whitelist"], told["company_whitelist"]) == (["a", "b"], [5, 12])
    assert FeatureFlags.from_json(told) == flags


@pytest.mark.parametrize(
    ("flags", "passes"),
    [
        pytest.param(FeatureFlags(), {7: True, UUID: True}, id="not configured"),
        pytest.param(FeatureFlags(True), {7: False, UUID: False}, id="off, nothing listed"),
        pytest.param(
            FeatureFlags(True, service_whitelist=frozenset({"7"}), company_whitelist=frozenset({2})),
            {7: True, 77: False, UUID: False},
            id="off: services listed, companies do not matter",
        ),
        pytest.param(
            FeatureFlags(True, service_whitelist=frozenset({UUID})),
            {7: False, UUID: True, UUID.upper(): True},
            id="off: a UUID listed",
        ),
        pytest.param(FeatureFlags(True, enabled=True), {7: True, UUID: True}, id="on for all"),
        pytest.param(
            FeatureFlags(True, True, frozenset({"7"}), frozenset({2})),
            {7: False},
            id="on: companies listed, services do not matter",
        ),
        pytest.param(
            FeatureFlags(True, True, frozenset(), frozenset({1})), {7: True}, id="on: company listed"
        ),
    ],
)
def test_whom_the_flags_let_through(flags: FeatureFlags, passes: dict[int | str, bool]) -> None:
    assert {id_: eligible(SimpleNamespace(id=id_, company_id=1), flags) for id_ in passes} == passes


def test_a_service_without_a_company_is_in_no_pilot() -> None:
    pilot = FeatureFlags(True, True, frozenset(), frozenset({1}))
    assert not eligible(SimpleNamespace(id=7, company_id=None), pilot)
