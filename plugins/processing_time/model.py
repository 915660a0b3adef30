# SPDX-License-Identifier: MIT
"""The words of the domain as frozen dataclasses: what was measured, how it is judged, what is decided.

Nothing here reads a clock, a file or a network. Every ``datetime`` is aware and in UTC.
Samples and verdicts travel between tasks as JSON (``to_json``/``from_json``), so they hold plain values only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from processing_time.severity import Severity as Severity

ALL_COMPANIES = 0
"""The ``company_id`` of the row that speaks for all companies together."""


class State(StrEnum):
    """What a metric or rule is found to be in at one check."""

    OK = "ok"
    DEGRADED = "degraded"
    ALERT = "alert"
    CRITICAL = "critical"
    INSUFFICIENT_DATA = "insufficient_data"
    UNKNOWN = "unknown"

    @property
    def bad(self) -> bool:
        """A threshold was passed."""
        return self in (State.ALERT, State.CRITICAL)

    @property
    def good(self) -> bool:
        """Measured, with enough data, and on the right side of the alert threshold."""
        return self in (State.OK, State.DEGRADED)


#: From worst to best, as ``checks.state`` ranks them.
WORST_FIRST = (
    State.CRITICAL,
    State.ALERT,
    State.UNKNOWN,
    State.DEGRADED,
    State.INSUFFICIENT_DATA,
    State.OK,
)


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open stretch of time ``[start, end)``; both aware, in UTC, on whole seconds."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("a window needs aware datetimes")
        if self.start > self.end:
            raise ValueError(f"a window cannot end ({self.end}) before it starts ({self.start})")

    @property
    def length(self) -> timedelta:
        """Elapsed time, not wall-clock time: 23 or 25 hours on the days of a DST change."""
        return self.end - self.start


class Loss(StrEnum):
    """Why a measurement is missing; it decides how loudly that is said."""

    SOURCE = "source"
    """The whole source could not be read: its metrics share one alert."""
    LOST = "lost"
    """This measurement could not be made, although this deployment can give it."""
    NEVER = "never"
    """This deployment has never given it: said once, until somebody disables the metric."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement of a metric or rule over a window, not yet judged.

    ``loss`` and ``reason`` are set when it could not be measured; ``value`` is then ``None``.
    ``reason`` alone is a remark that belongs into the verdict's reason.
    """

    metric: str
    window: Window
    company_id: int = ALL_COMPANIES
    value: float | None = None
    numerator: float | None = None
    denominator: float | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    loss: Loss | None = None
    reason: str = ""

    def lost(self, loss: Loss, reason: str) -> Sample:
        """The same sample as one that could not be measured."""
        return replace(self, value=None, numerator=None, denominator=None, loss=loss, reason=reason)

    def to_json(self) -> dict[str, Any]:
        """Plain values; instants in ISO 8601 with offset."""
        return _mapping(asdict(self))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Sample:
        """The inverse of :meth:`to_json`."""
        return cls(
            **{
                **data,
                "window": _window(data["window"]),
                "loss": Loss(data["loss"]) if data.get("loss") else None,
            }
        )


@dataclass(frozen=True, slots=True)
class Collected:
    """What one source gave: samples, and facts that other parts of the check need (JSON-ready)."""

    samples: tuple[Sample, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values for XCom."""
        return {"samples": [s.to_json() for s in self.samples], "facts": _plain(dict(self.facts))}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Collected:
        """The inverse of :meth:`to_json`."""
        return cls(tuple(Sample.from_json(s) for s in data["samples"]), data["facts"])


@dataclass(frozen=True, slots=True)
class Verdict:
    """A sample, judged.

    ``severity`` is set for every bad state. ``certain`` says whether the sample is large enough to page a
    person (levels 2 and above); ``level_cap`` keeps findings that may be an artefact at level 1.
    ``threshold`` is the bound in words, as people read it in the table and in Slack.
    """

    sample: Sample
    state: State
    severity: Severity | None = None
    reason: str = ""
    threshold: str = ""
    certain: bool = True
    level_cap: int = 3
    muted: str = ""

    @property
    def metric(self) -> str:
        """The key of the metric or rule."""
        return self.sample.metric

    @property
    def company_id(self) -> int:
        """0 for all companies."""
        return self.sample.company_id

    def to_json(self) -> dict[str, Any]:
        """Plain values for XCom."""
        return _mapping({**asdict(self), "sample": self.sample.to_json()})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Verdict:
        """The inverse of :meth:`to_json`."""
        return cls(
            **{
                **data,
                "sample": Sample.from_json(data["sample"]),
                "state": State(data["state"]),
                "severity": Severity(data["severity"]) if data.get("severity") else None,
            }
        )


class AlertState(StrEnum):
    """Where an incident stands."""

    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Alert:
    """An incident on one rule (a metric, a log rule, ``<metric>.unknown`` or ``source.<name>.unknown``).

    ``bad_checks``, ``good_checks`` and ``critical_checks`` (those at CRITICAL) count checks in a row, apart by at
    least ``escalation.min_gap``. ``last_told_at`` is when the thread last heard that it is still firing. ``slack_channel`` and ``slack_ts`` name the thread once Slack has it.
    ``subjects`` are the appointment ids that it was about. ``acknowledgers`` are the users whose reaction has been
    seen on the root message, so that one reaction acknowledges once. ``thread_company`` is set where one message told
    of many companies: that company's alert, of the same rule and opened at the same check, owns the thread.
    ``id`` is None until it is stored.
    """

    rule: str
    company_id: int
    severity: Severity
    level: int
    state: AlertState
    opened_at: datetime
    last_seen_at: datetime
    last_counted_at: datetime
    last_told_at: datetime
    bad_checks: int = 1
    good_checks: int = 0
    critical_checks: int = 0
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    acknowledged_until: datetime | None = None
    toggle_requested_at: datetime | None = None
    resolved_at: datetime | None = None
    subjects: tuple[int, ...] = ()
    acknowledgers: tuple[str, ...] = ()
    thread_company: int | None = None
    slack_channel: str | None = None
    slack_ts: str | None = None
    id: int | None = None

    @property
    def key(self) -> tuple[str, int]:
        """What at most one open alert may have."""
        return (self.rule, self.company_id)


class Action(StrEnum):
    """What a check does about a rule."""

    OPEN = "open"
    ESCALATE = "escalate"
    REMIND = "remind"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done about one rule at one check, and why.

    ``before`` is the open alert as it was (None when one is opened), ``after`` as it is from now on (None when
    there is nothing to keep); it is kept for NOTHING too, which only counts. ``mention`` asks for the on-call mention,
    ``diagnose`` for a diagnostics snapshot, ``toggle`` for an incident run that proposes to disable the feature.
    ``hides`` lists the metrics and rules that a shared cause speaks for. ``moved`` says that the severity rose: the
    worse channel gets a message too. ``companies`` are the single companies that this message speaks for as well,
    worst first; their own decisions are ``grouped`` and send nothing.
    """

    action: Action
    rule: str
    company_id: int
    reason: str
    before: Alert | None = None
    after: Alert | None = None
    verdict: Verdict | None = None
    mention: bool = False
    diagnose: bool = False
    toggle: bool = False
    moved: bool = False
    hides: tuple[str, ...] = ()
    companies: tuple[int, ...] = ()
    grouped: bool = False


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """A human's reaction on an alert's root message, as it stands there now; ``at`` is when it was read."""

    alert_id: int
    user: str
    at: datetime


class SourceUnavailable(Exception):
    """A whole source could not be read. The text is one sentence that names the setting to look at."""


def worst(states: Iterable[State]) -> State:
    """The worst of the states; ``insufficient_data`` when there is none at all."""
    found = set(states)
    return next((s for s in WORST_FIRST if s in found), State.INSUFFICIENT_DATA)


def utc(text: str) -> datetime:
    """An ISO 8601 text with an offset as an aware instant in UTC."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no UTC offset")
    return instant.astimezone(UTC)


def figure(value: float) -> str:
    """A number as people read it: a count with all of its digits, any other with six."""
    return f"{value:.0f}" if float(value).is_integer() else f"{value:g}"


def _window(data: Mapping[str, str]) -> Window:
    return Window(utc(data["start"]), utc(data["end"]))


def _mapping(value: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _plain(v) for k, v in value.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, Mapping):
        return _mapping(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_plain(v) for v in value]
    return value
