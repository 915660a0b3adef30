# SPDX-License-Identifier: MIT
"""Settings come in layers, and each fault is one sentence that names the key, the value and the fix."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from processing_time.model import Severity
from processing_time.settings import SettingsError, load

BAD = sorted((Path(__file__).parent / "bad_config").glob("*.yaml"))


def test_shipped_settings_are_the_contract() -> None:
    settings = load()
    assert list(settings.metrics) == [
        "phase_creation_success_rate",
        "phase_creation_burn_rate",
        "phase_creation_time",
        "availability_cache_hit_rate",
        "calcom_sync_success_rate",
        "calcom_sync_burn_rate",
        "phase_distribution",
        "overlapping_bookings",
        "orphaned_appointments",
        "stale_phases",
        "cached_availability_entries",
    ]
    assert {key: (r.more_than, r.within, r.severity) for key, r in settings.log_rules.items()} == {
        "phase_creation_failures": (5, timedelta(hours=1), Severity.HIGH),
        "observer_disabled": (0, None, Severity.INFO),
        "cache_miss_spike": (100, timedelta(minutes=5), Severity.MEDIUM),
        "calcom_sync_failures": (10, timedelta(hours=1), Severity.HIGH),
    }
    assert {
        key: (m.source, m.window, m.target, m.alert, m.critical, m.min_volume)
        for key, m in settings.metrics.items()
        if m.kind != "burn_rate"
    } == {
        "phase_creation_success_rate": ("mysql", "today", 99, 95, 90, 11),
        "phase_creation_time": ("log", "since_last_check", 50, 200, 500, 10),
        "availability_cache_hit_rate": ("log", "since_last_check", 80, 60, 40, 20),
        "calcom_sync_success_rate": ("mysql", "7_days", 99, 95, 90, 10),
        "phase_distribution": ("mysql", "today", 20, 20, None, 10),
        "overlapping_bookings": ("mysql", "7_days", 0, None, None, 10),
        "orphaned_appointments": ("mysql", "yesterday_and_today", 0, 0, None, 1),
        "stale_phases": ("mysql", "7_days", 0, 0, None, 1),
        "cached_availability_entries": ("redis", "instant", None, None, None, 0),
    }
    for key in ("phase_creation_burn_rate", "calcom_sync_burn_rate"):
        metric = settings.metrics[key]
        assert metric.budget is not None
        assert (metric.enabled, metric.severity, metric.budget.objective) == (True, Severity.MEDIUM, 99)
        assert [(w.long, w.short, w.factor) for w in metric.budget.windows] == [
            (timedelta(hours=24), timedelta(hours=2), 3),
            (timedelta(days=3), timedelta(hours=6), 1),
        ]
    assert settings.application.pending_limit == timedelta(hours=1)


def test_there_are_bad_configs() -> None:
    assert len(BAD) >= 20


@pytest.mark.parametrize("path", BAD, ids=lambda p: p.stem)
def test_each_fault_is_one_sentence(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = path.read_text().splitlines()[0].removeprefix("# ")
    monkeypatch.setenv("PROCESSING_TIME_CONFIG", str(path))
    with pytest.raises(SettingsError) as fault:
        load()
    sentence = str(fault.value).removeprefix(f"{path.parent}/")
    assert sentence == expected


def test_a_key_that_is_no_text_is_a_sentence_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """YAML has numbers as keys; neither they nor what is misspelt beside them may end in a traceback."""
    own = tmp_path / "own.yaml"
    own.write_text("metrics: {404: {enabled: false}, phase_creation_tme: {enabled: false}}\n")
    monkeypatch.setenv("PROCESSING_TIME_CONFIG", str(own))
    with pytest.raises(SettingsError) as fault:
        load()
    assert str(fault.value).splitlines() == [
        "metrics.404.[key] = 404 is not valid: input should be a valid string",
        "metrics.404 lacks title, action, source, kind, better, unit: set them",
        (
            "metrics.phase_creation_tme lacks title, action, source, kind, better, unit: set them;"
            " did you mean phase_creation_time?"
        ),
    ]


def test_own_file_is_laid_over_the_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(
        "metrics: {phase_creation_success_rate: {alert: 93}}\napplication: {error_values: [failed]}\n"
    )
    monkeypatch.setenv("PROCESSING_TIME_CONFIG", str(own))
    settings = load()
    assert settings.metrics["phase_creation_success_rate"].alert == 93
    assert settings.metrics["phase_creation_success_rate"].critical == 90
    assert settings.application.error_values == ("failed",)
    assert settings.application.synced_values == ("synced",)


def test_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCESSING_TIME__APPLICATION__LOGS", '["/srv/app/storage/logs/laravel*.log*"]')
    monkeypatch.setenv("PROCESSING_TIME__METRICS__PHASE_CREATION_SUCCESS_RATE__ALERT", "94.5")
    monkeypatch.setenv("PROCESSING_TIME__APPLICATION__SOFT_DELETES", "true")
    monkeypatch.setenv("PROCESSING_TIME__SLACK__CHANNELS__HIGH", "C0HIGH")
    settings = load()
    assert settings.application.logs == ("/srv/app/storage/logs/laravel*.log*",)
    assert settings.metrics["phase_creation_success_rate"].alert == 94.5
    assert settings.application.soft_deletes is True
    assert settings.slack.channels.high == "C0HIGH"


def test_a_variable_is_none_json_or_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCESSING_TIME__SLACK__CHANNELS__HIGH", "CNESTED")
    monkeypatch.setenv("PROCESSING_TIME__SLACK__CHANNELS", '{"info": "CINFO", "high": "CHIGH"}')
    monkeypatch.setenv("PROCESSING_TIME__SLACK__ON_CALL", "null")
    monkeypatch.setenv("PROCESSING_TIME__APPLICATION__CACHE_KEY_PATTERN", "[ab]*week_availability:*")
    settings = load({"slack": {"channels": {"critical": "COVER"}}})
    channels = settings.slack.channels
    assert (channels.info, channels.high, channels.critical) == ("CINFO", "CNESTED", "COVER")
    assert settings.slack.on_call is None
    assert settings.application.cache_key_pattern == "[ab]*week_availability:*"


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (
            "PROCESSING_TIME__APLICATION__LOGS",
            "[]",
            "PROCESSING_TIME__APLICATION__LOGS is not a setting; did you mean PROCESSING_TIME__APPLICATION?: correct or unset the variable",
        ),
        (
            "PROCESSING_TIME__APPLICATION__LOGS",
            "/srv/app.log",
            """PROCESSING_TIME__APPLICATION__LOGS = '/srv/app.log' is not JSON: write a list as ["…"] and a mapping as {"key": …}""",
        ),
        (
            "PROCESSING_TIME__METRICS",
            "{alert: 3}",
            """PROCESSING_TIME__METRICS = '{alert: 3}' is not JSON: write a list as ["…"] and a mapping as {"key": …}""",
        ),
        (
            "PROCESSING_TIME__TIMEZONE__NAME",
            "UTC",
            "PROCESSING_TIME__TIMEZONE__NAME is not a setting; did you mean PROCESSING_TIME__TIMEZONE?: correct or unset the variable",
        ),
        (
            "processing_time__slack__channels",
            "C0HIGH",
            """processing_time__slack__channels = 'C0HIGH' is not JSON: write a list as ["…"] and a mapping as {"key": …}""",
        ),
        (
            "PROCESSING_TIME__APPLICATION__LOGZ",
            "[]",
            "application.logz is not a setting; did you mean logs?",
        ),
        (
            "PROCESSING_TIME__MUTES",
            '[{"rule": "cache_miss_spike", "until": "2026-12-01 08:00", "reason": "load test"}]',
            "mutes.0.until = 2026-12-01T08:00 has no offset: write it like 2026-12-01T08:00:00+01:00",
        ),
    ],
    ids=[
        "unknown section",
        "no list",
        "no mapping",
        "no section",
        "no section, in small letters",
        "unknown key",
        "no offset",
    ],
)
def test_bad_variables(name: str, value: str, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as fault:
        load()
    assert str(fault.value) == sentence


def test_missing_own_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCESSING_TIME_CONFIG", "/nowhere/own.yaml")
    with pytest.raises(
        SettingsError, match=r"^/nowhere/own.yaml cannot be read \(No such file or directory\)"
    ):
        load()


def test_mute_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("mutes: [{rule: cache_miss_spike, until: 2026-12-01T08:00:00+01:00, reason: load test}]")
    monkeypatch.setenv("PROCESSING_TIME_CONFIG", str(own))
    settings = load()
    before, end = datetime(2026, 12, 1, 6, 59, tzinfo=UTC), datetime(2026, 12, 1, 7, tzinfo=UTC)
    assert settings.mute("cache_miss_spike", 0, before)
    assert settings.mute("cache_miss_spike", 0, end) is None
    assert settings.mute("stale_phases", 0, before) is None


def test_unset_channel_falls_back_to_the_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROCESSING_TIME__SLACK__CHANNELS", '{"info": "CINFO", "high": "CHIGH"}')
    slack = load().slack
    assert [slack.channel(r) for r in ("info", "medium", "high", "critical", "reports")] == [
        "CINFO",
        "CHIGH",
        "CHIGH",
        "CHIGH",
        "CINFO",
    ]
