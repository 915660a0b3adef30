# SPDX-License-Identifier: MIT
"""What a message needs to know besides the decision that it tells of, and the words for rules, times and levels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from processing_time.findings import UNKNOWN
from processing_time.model import ALL_COMPANIES, Alert, AlertState, Severity, Verdict
from processing_time.settings import Settings
from processing_time.summary import Summary, value_text, window_text
from processing_time.timeline import Timeline, length_text

ICONS = {Severity.INFO: "🔵", Severity.MEDIUM: "🟠", Severity.HIGH: "🔴", Severity.CRITICAL: "🚨"}
LEVELS = {1: "1 · channel", 2: "2 · on-call", 3: "3 · feature toggle", 4: "4 · rollback"}
_LOST = {
    "mysql": "the-database-cannot-be-read",
    "log": "the-log-cannot-be-read-or-has-gone-silent",
    "redis": "redis-cannot-be-read",
}
_SOURCES = {"mysql": "the database", "log": "the log", "redis": "the cache"}


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a message's buttons lead; empty ones are left out."""

    run: str = ""
    incident: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """The check that messages tell of.

    :param verdicts: everything that was judged, by metric or rule and company.
    :param names: what people are called, by Slack user id.
    """

    settings: Settings
    as_of: datetime
    summary: Summary
    verdicts: Mapping[tuple[str, int], Verdict] = field(default_factory=dict)
    addresses: Addresses = field(default_factory=Addresses)
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def timeline(self) -> Timeline:
        """For windows in local time."""
        return Timeline(self.as_of, self.settings.zone, self.settings.application_zone, self.as_of)

    def clock(self, instant: datetime) -> str:
        """An instant as a local time, with the day when it is not that of the check."""
        return clock(instant, self.as_of, self.settings.zone)

    def window(self, verdict: Verdict) -> str:
        """A window as people read it, with the zone."""
        return f"{window_text(verdict.sample.window, self.timeline)} {self.settings.timezone}"

    def value(self, verdict: Verdict) -> str:
        """A value with its unit."""
        return value_text(verdict, self.settings)

    def who(self, user: str | None) -> str:
        """A person's name, with the id that the store keeps."""
        name = self.names.get(user or "")
        return f"{name} ({user})" if name else str(user)

    def rule(self, rule: str, company_id: int = ALL_COMPANIES) -> str:
        """What people call a rule, and the company if it is about a single one."""
        return rule_text(rule, self.settings) + (
            f", company {company_id}" if company_id != ALL_COMPANIES else ""
        )

    def action(self, rule: str) -> str:
        """What to do about a rule."""
        if rule.endswith(UNKNOWN):
            return "Do what the reason says; until then nobody watches this"
        return self.settings.rule(rule).action if _known(rule, self.settings) else "Look at the runbook"

    def runbook(self, rule: str) -> str:
        """The section of the runbook about a rule, or about what cannot be measured."""
        section = _lost(rule, self.settings) if rule.endswith(UNKNOWN) else rule
        return f"{self.settings.slack.runbook_url}#{section}"


def clock(instant: datetime, near: datetime, zone: ZoneInfo) -> str:
    """A local time, with the day when it is another one than that of ``near``."""
    local = instant.astimezone(zone)
    return f"{local:%H:%M}" if local.date() == near.astimezone(zone).date() else f"{local:%a %d %b %H:%M}"


def elapsed(length: timedelta) -> str:
    """A stretch of time in its two largest units: ``3 h 5 min``, ``2 d 4 h``."""
    minutes = int(length.total_seconds()) // 60
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{number} {unit}" for number, unit in ((days, "d"), (hours, "h"), (minutes, "min")) if number]
    return " ".join(parts[:2]) or length_text(length)


def rule_text(rule: str, settings: Settings) -> str:
    """The title of a metric or log rule, or what is lost."""
    if rule.startswith("source."):
        source = rule.removeprefix("source.").removesuffix(UNKNOWN)
        return f"Monitoring is blind: {_SOURCES.get(source, source)} cannot be read"
    key = rule.removesuffix(UNKNOWN)
    title = settings.rule(key).title if _known(key, settings) else key
    return f"{title} cannot be measured" if rule.endswith(UNKNOWN) else title


def status(alert: Alert) -> tuple[str, str]:
    """An icon and a word for where an alert stands."""
    if alert.state is AlertState.RESOLVED:
        return "✅", "Resolved"
    if alert.state is AlertState.ACKNOWLEDGED:
        return "👀", f"{alert.severity.upper()}, acknowledged"
    return ICONS[alert.severity], alert.severity.upper()


def _lost(rule: str, settings: Settings) -> str:
    """The section about the source of what is lost."""
    key = rule.removesuffix(UNKNOWN)
    source = key.removeprefix("source.")
    if _known(key, settings):
        source = getattr(settings.rule(key), "source", "log")  # log rules have none of their own
    return _LOST.get(source, "when-something-cannot-be-measured")


def _known(key: str, settings: Settings) -> bool:
    return key in settings.metrics or key in settings.log_rules
