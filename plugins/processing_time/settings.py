# SPDX-License-Identifier: MIT
"""Settings: ``include/monitoring.yaml``, a file of the user's own and the environment as one validated object.

Layers, later ones win: the shipped file, the file that ``PROCESSING_TIME_CONFIG`` names, variables
``PROCESSING_TIME__SECTION__KEY``. Whatever is wrong is said as one sentence a fault, in a :class:`SettingsError`.
"""

from __future__ import annotations

import difflib
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

import yaml
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    Field,
    PrivateAttr,
    ValidationError,
    model_validator,
)

from processing_time.settings_incident import AutoRecovery, Incident
from processing_time.settings_reports import Reports
from processing_time.settings_targets import SCHEMA, SEPARATOR, Connections, fault, of_target
from processing_time.settings_types import (
    ChannelId,
    Cron,
    Duration,
    Identifier,
    LogHost,
    Mention,
    Pattern,
    Section,
    UserId,
    Zone,
    matching,
    switch,
    value_pattern,
)
from processing_time.severity import Severity

log = logging.getLogger(__name__)

PLUGINS = Path(__file__).resolve().parents[1]
# Beside plugins/, or in it where a platform brings nothing else to its workers.
ROOT = PLUGINS if (PLUGINS / "include" / "monitoring.yaml").is_file() else PLUGINS.parent
SHIPPED = ROOT / "include" / "monitoring.yaml"
SQL = ROOT / "include" / "sql"
PREFIX = "PROCESSING_TIME__"
CONFIG_VARIABLE = "PROCESSING_TIME_CONFIG"
INCIDENT_DAG = "processing_time_incident"
_SCHEMA = re.compile(rf"\b{SCHEMA}\b")
_CONNECTION = re.compile(rf"\bprocessing_time_({'|'.join(Connections.model_fields)})\b")


class SettingsError(ValueError):
    """The settings cannot be used. The text names each key, its value and the fix."""


class Application(Section):
    """Where the monitored application is and how it writes things down."""

    timezone: Zone
    """how Laravel writes times (`APP_TIMEZONE`)"""
    logs: tuple[str, ...]
    """every file that matches, rotated and gzipped ones too"""
    log_hosts: dict[str, LogHost] = Field(default_factory=dict)
    """hosts that each write a log of their own, by a name of your choice; `{}`: every worker sees the whole log"""
    log_host_wait: Duration
    """a check waits so long for the logs of all hosts; what is missing then is `unknown`"""
    env_file: Path | None = None
    """the application's `.env`, mounted read-only: feature flags. `null`: every service with processing time counts"""
    soft_deletes: Annotated[Literal["auto", True, False], BeforeValidator(switch)] = "auto"
    """`auto`: rows are left out where a `deleted_at` column exists"""
    sync_status_column: Identifier
    """column of `appointments`. The deployed application has `calcom_sync_status`"""
    synced_values: tuple[str, ...] = Field(min_length=1)
    """what the column holds when Cal.com has the appointment"""
    error_values: tuple[str, ...] = Field(min_length=1)
    """what it holds after an error. The deployed application writes `failed`"""
    grace: Duration
    """appointments younger than this may still be getting their phases"""
    pending_limit: Duration
    """appointments younger than this may still be on their way to Cal.com. Keep it below the short windows of `calcom_sync_burn_rate`"""
    cache_key_pattern: str = Field(min_length=2)
    """keys to count, prefixes included. The deployed application has no `:pt_`"""

    @model_validator(mode="after")
    def _hosts_have_usable_names(self) -> Self:
        for name in self.log_hosts:
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,59}", name):
                raise ValueError(f"log_hosts.{name} is not a usable name: letters, digits, _ and - only")
        return self


class Schedule(Section):
    """When things run and how long they may take."""

    health_check: Cron
    """when, in `timezone`; as shipped 13 checks a day"""
    retries: int = Field(ge=0, le=10)
    """of each task but `verdict`"""
    retry_delay: Duration
    """between them"""
    task_timeout: Duration
    """the longest a task may take"""
    statement_timeout: Duration
    """the longest one SQL statement may take; below `task_timeout`"""
    deadline: Duration
    """a check that has not finished by then fails, and Slack hears of it"""
    max_catch_up: Duration
    """the longest stretch of log that one check reads after an outage"""
    queue: str | None = None
    """the queue of all tasks, with a CeleryExecutor: that of a worker that sees the application's files; `null`: the default one"""

    @model_validator(mode="after")
    def _statement_below_task(self) -> Self:
        if self.statement_timeout >= self.task_timeout:
            raise ValueError(
                f"statement_timeout ({self.statement_timeout}) must be below task_timeout ({self.task_timeout})"
            )
        return self


class Channels(Section):
    """Slack channel ids by severity, and one for reports."""

    info: ChannelId | None = None
    """the channel of that severity. An unset one falls back to the next worse, then to a milder one"""
    medium: ChannelId | None = None
    """the same"""
    high: ChannelId | None = None
    """the same"""
    critical: ChannelId | None = None
    """the same"""
    reports: ChannelId | None = None
    """the channel for reports and the daily checklist"""


class Slack(Section):
    """Whom to tell."""

    channels: Channels
    on_call: Mention | None = None
    """whom level 2 mentions: `"<!subteam^S…>"`, `"<@U…>"`, `"<!here>"` or `"<!channel>"`"""
    acknowledgers: tuple[UserId, ...] = ()
    """who may acknowledge; empty: any human"""
    runbook_url: str
    """where messages link to; a section's name is added as `#name`"""
    workspace_url: Annotated[str, matching(r"https?://\S+", "is not an http(s) address")]
    """where links to threads on the [status page](status-page.md) lead; `https://acme.slack.com` saves a redirection"""

    def channel(self, route: str) -> str | None:
        """The channel id for a severity or for ``reports``; an unset one falls back to the worse, then the milder ones.

        :return: ``None`` when no channel is set at all.
        """
        order = ["info", "medium", "high", "critical"]
        if route == "reports":
            candidates = ["reports", *order]
        else:
            at = order.index(route)
            candidates = order[at:] + order[:at][::-1]
        return next((c for c in (getattr(self.channels, name) for name in candidates) if c), None)


class Escalation(Section):
    """When alerts open, repeat, rise and close."""

    for_checks: int = Field(ge=1)
    """bad checks until an alert opens"""
    clear_checks: int = Field(ge=1)
    """good checks, with enough data, until it resolves"""
    remind_after: Duration
    """an unchanged alert is repeated this often"""
    ack_hold: Duration
    """an acknowledgement holds reminders and levels 2 and 3 for so long"""
    toggle_after: int = Field(ge=1)
    """checks that a CRITICAL alert keeps firing until level 3"""
    min_gap: Duration
    """checks closer than this to the last counted one do not clear, remind or raise levels"""
    incident_dag: str | None = None
    """the DAG that level 3 starts; `null`: it is only announced in the thread"""
    inhibit: dict[str, tuple[str, ...]]
    """cause → effects: while the cause is critical, its effects stay silent"""


class Mute(Section):
    """A silence with an end and a reason."""

    rule: str
    """a metric or log rule, `<metric>.unknown`, or `source.<name>.unknown`"""
    until: AwareDatetime
    """an instant with an offset"""
    reason: str = Field(min_length=3)
    """shown wherever the mute is"""
    company: int | None = None
    """one company only; `null`: all"""


class Alerting(Section):
    """What metrics and log rules share: whether and how they alert."""

    title: str
    """how people read it"""
    enabled: bool = True
    """`false`: not measured, no row; an open alert closes"""
    severity: Severity = Severity.HIGH
    """of an alert; critical is always CRITICAL"""
    action: str
    """what to do, in the message"""
    alert_per_company: bool = False
    """single companies alert too, not only all together"""
    alive: tuple[Pattern, ...] = ()
    """patterns of one line that shows that the log still speaks of this"""
    for_checks: int | None = Field(default=None, ge=1)
    """instead of `escalation.for_checks`"""
    clear_checks: int | None = Field(default=None, ge=1)
    """instead of `escalation.clear_checks`"""
    remind_after: Duration | None = None
    """instead of `escalation.remind_after`"""


class Worse(Section):
    """When a count is worse than its ordinary severity: at least ``from`` and above a share of the population."""

    severity: Severity
    """of a count that is worse than its ordinary severity"""
    from_: int = Field(alias="from", ge=1)
    """when it is at least this"""
    above_share: float = Field(ge=0, le=1)
    """and above this share of the population"""


LONGEST = timedelta(days=8)
"""No window may be longer: feature flags, and where a window begins in the tables, are remembered a day longer."""


class BudgetWindows(Section):
    """A pair of windows; it alerts when both burn the budget faster than ``factor``."""

    long: Duration
    """of each pair: this window says that it matters; at most 8 days"""
    short: Duration
    """this one says that it goes on"""
    factor: float = Field(gt=0)
    """it alerts when both burn faster; below what everything failing would burn (100 for 99 %)"""

    @model_validator(mode="after")
    def _short_is_shorter(self) -> Self:
        if not timedelta() < self.short < self.long:
            raise ValueError(f"short ({self.short}) must be above 0 and below long ({self.long})")
        if self.long > LONGEST:
            raise ValueError(f"long ({self.long}) must be at most {LONGEST.days} days")
        return self


class Budget(Section):
    """An error budget: ``objective`` per cent are to succeed, the others may fail."""

    objective: float
    """of a burn rate: the per cent that are to succeed"""
    windows: tuple[BudgetWindows, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        if not 0 < self.objective < 100:
            raise ValueError(
                f"objective ({self.objective:g}) must lie between 0 and 100 %: write one such as 99"
            )
        for pair in self.windows:
            if pair.factor * self.allowed >= 100:
                raise ValueError(
                    f"factor ({pair.factor:g}) can never be passed: when everything fails, an objective of"
                    f" {self.objective:g} % burns {100 / self.allowed:g}×, so set it below that"
                )
        return self

    @property
    def allowed(self) -> float:
        """The per cent that may fail (100 − 99.9 is not quite 0.1 in floating point)."""
        return round(100 - self.objective, 9)

    @property
    def lengths(self) -> tuple[timedelta, ...]:
        """The lengths of all windows, longest first, each once."""
        return tuple(sorted({length for w in self.windows for length in (w.long, w.short)}, reverse=True))


class LogPatterns(Section):
    """What the lines of a log metric hold; ``value`` finds the number in a matching line."""

    record: tuple[Pattern, ...] = ()
    """log metrics: what a line holds"""
    value: Annotated[str, AfterValidator(value_pattern)] | None = None
    """a regular expression with one group around the number"""
    hit: tuple[Pattern, ...] = ()
    """what the line of a hit holds"""
    miss: tuple[Pattern, ...] = ()
    """what the line of a miss holds"""


class Metric(Alerting):
    """A number with bounds. ``better`` says on which side of ``target`` the good values lie; bounds are strict."""

    source: Literal["mysql", "log", "redis"]
    """where the number comes from"""
    kind: Literal["rate", "mean", "count", "deviation", "burn_rate"]
    """how it is made of numerator and denominator"""
    window: Literal["today", "yesterday_and_today", "7_days", "since_last_check", "instant"] | None = None
    """the window that it looks at; required but for `burn_rate`, which has windows of its own"""
    better: Literal["higher", "lower"]
    """on which side of the bounds the good values lie"""
    unit: str
    """shown behind the value"""
    target: float | None = None
    """past it: `degraded`"""
    alert: float | None = None
    """past it: `alert`"""
    critical: float | None = None
    """past it: `critical`"""
    min_volume: int = Field(default=0, ge=0)
    """fewer than this: `insufficient_data`"""
    population: str = ""
    """the word for what is counted, such as *appointments*"""
    failing: str = ""
    """the words for those that fail, such as *without phases*"""
    worse: Worse | None = None
    budget: Budget | None = None
    patterns: LogPatterns = LogPatterns()

    @model_validator(mode="after")
    def _budget_or_window(self) -> Self:
        burns = self.kind == "burn_rate"
        if burns and (self.budget is None or self.source != "mysql"):
            raise ValueError("kind burn_rate needs source mysql, and a budget with objective and windows")
        if not burns and self.window is None:
            raise ValueError("window is missing: set it")
        for name in ("window", "target", "alert", "critical") if burns else ("budget",):
            if getattr(self, name) is not None:
                raise ValueError(f"{name} has no meaning with kind {self.kind}: remove it")
        return self

    @model_validator(mode="after")
    def _log_has_patterns(self) -> Self:
        needed = {"rate": ("hit", "miss"), "mean": ("record", "value")}.get(self.kind)
        if self.source == "log":
            if needed is None:
                raise ValueError(
                    f"kind {self.kind} cannot come from the log: write rate or mean, or a log rule"
                )
            for name in needed:
                if not getattr(self.patterns, name):
                    raise ValueError(f"patterns.{name} is missing: a {self.kind} from the log needs it")
        return self

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        sign = 1 if self.better == "lower" else -1
        word = "above" if sign == 1 else "below"
        if self.critical is not None and self.alert is None:
            raise ValueError(f"critical ({self.critical:g}) needs an alert threshold as well")
        for milder, name in (("target", "alert"), ("alert", "critical")):
            bound, value = getattr(self, milder), getattr(self, name)
            if bound is not None and value is not None and sign * (value - bound) < 0:
                raise ValueError(
                    f"{name} ({value:g}) is on the wrong side of {milder} ({bound:g}): "
                    f"{self.better} is better here, so set {name} {word} {bound:g}"
                )
        return self


class Successes(Section):
    """What a line holds that tells of a success, tallied beside a rule's failures."""

    all_of: tuple[Pattern, ...] = Field(min_length=1)
    """the same for lines of a success, tallied beside the failures"""
    message_any_of: tuple[Pattern, ...] = ()
    """the same"""


class LogRule(Alerting):
    """More than ``more_than`` matching log records within any stretch of ``within``."""

    all_of: tuple[Pattern, ...] = Field(min_length=1)
    """patterns that the line of a record must hold, all of them"""
    message_any_of: tuple[Pattern, ...] = ()
    """one of these must be in the message, before the `{context}`"""
    more_than: int = Field(ge=0)
    """it fires above this count"""
    within: Duration | None = None
    """in any stretch of this length; `null`: since the last check"""
    successes: Successes | None = None

    @model_validator(mode="after")
    def _count_needs_a_stretch(self) -> Self:
        if self.more_than and not self.within:
            raise ValueError(f"more_than ({self.more_than}) needs within, such as 1h")
        return self


class Settings(Section):
    """Everything a user can set. Build it with :func:`load`, which turns faults into sentences.

    What stands below each setting is its meaning in docs/settings.md (`make settings-docs`).
    """

    timezone: Zone
    """the zone of days, of the schedule and of everything that people read"""
    connections: Connections
    application: Application
    schedule: Schedule
    silent_after: Duration
    """log lines that have not come for so long, while appointments do, are missing: `unknown`"""
    fail_run_on: Severity
    """the run turns red when a finding is at or above this severity"""
    daily_checklist: bool
    """the last check of the day posts the daily checklist"""
    heartbeat_url: Annotated[str, matching(r"https?://\S+", "is not an http(s) address")] | None = None
    """called after each finished check: a dead man's switch tells when the calls stop"""
    slack: Slack
    escalation: Escalation
    incident: Incident
    auto_recovery: AutoRecovery
    reports: Reports
    mutes: tuple[Mute, ...]
    metrics: dict[str, Metric]
    log_rules: dict[str, LogRule]
    targets: dict[str, dict[str, Any]]
    """several application installations: below the name of each what differs there from everything above"""
    _target: str = PrivateAttr("")

    def model_post_init(self, context: Any) -> None:
        """Take over whose settings they are: that is nothing that a user sets."""
        self._target = context or ""

    @property
    def target(self) -> str:
        """The name of the target; empty where the settings speak of one application."""
        return self._target

    @property
    def zone(self) -> ZoneInfo:
        """The zone of days, schedules and everything that people read."""
        return ZoneInfo(self.timezone)

    @property
    def application_zone(self) -> ZoneInfo:
        """The zone in which Laravel writes times."""
        return ZoneInfo(self.application.timezone)

    @property
    def incident_dag(self) -> str | None:
        """The DAG that level 3 starts: the shipped one is there for each target."""
        dag_id = self.escalation.incident_dag
        return self.dag_id(dag_id) if dag_id == INCIDENT_DAG else dag_id

    def dag_id(self, base: str) -> str:
        """The id that one of our DAGs has for this target."""
        return f"{base}{SEPARATOR}{self.target}" if self.target else base

    @property
    def schema_name(self) -> str:
        """What we call our own schema where nobody has named it otherwise."""
        return f"{SCHEMA}_{self.target}" if self.target else SCHEMA

    def titled(self, title: str) -> str:
        """A title that says whose it is."""
        return f"{self.target} · {title}" if self.target else title

    def named(self, sentence: str) -> str:
        """A sentence about connections with the ids of this installation in it."""
        sentence = _SCHEMA.sub(self.schema_name, sentence)
        return _CONNECTION.sub(lambda found: str(getattr(self.connections, found[1])), sentence)

    def rule(self, key: str) -> Metric | LogRule:
        """The metric or log rule of that key.

        :raises KeyError: when there is none.
        """
        return self.metrics[key] if key in self.metrics else self.log_rules[key]

    def enabled(self, source: str) -> list[str]:
        """The keys of the enabled metrics (and, for ``log``, rules) that a source gives, in the file's order."""
        keys = [k for k, m in self.metrics.items() if m.enabled and m.source == source]
        return keys + [k for k, r in self.log_rules.items() if r.enabled and source == "log"]

    def mute(self, rule: str, company_id: int, at: datetime) -> Mute | None:
        """The mute that holds for a rule and company at an instant, if there is one."""
        return next(
            (m for m in self.mutes if m.rule == rule and m.company in (None, company_id) and at < m.until),
            None,
        )

    @model_validator(mode="after")
    def _hosts_leave_time(self) -> Self:
        wait, timeout = self.application.log_host_wait, self.schedule.task_timeout
        if self.application.log_hosts and wait >= timeout:
            raise ValueError(
                f"application.log_host_wait ({wait}) must be below schedule.task_timeout ({timeout})"
            )
        return self

    @model_validator(mode="after")
    def _names_fit_together(self) -> Self:
        if twice := sorted(self.metrics.keys() & self.log_rules.keys()):
            raise ValueError(f"metrics.{twice[0]} is also the name of a log rule: names must be unique")
        for key in (*self.metrics, *self.log_rules):
            if not re.fullmatch(r"[a-z][a-z0-9_]{0,59}", key):
                raise ValueError(f"metrics.{key} is not a usable name: small letters, digits and _ only")
        for key, metric in self.metrics.items():
            if metric.source == "mysql" and not (SQL / "metrics" / f"{key}.sql").is_file():
                raise ValueError(
                    f"metrics.{key} has no SQL file: write include/sql/metrics/{key}.sql, or remove the key"
                )
        known = self.metrics.keys() | self.log_rules.keys()
        named = [("mutes", m.rule) for m in self.mutes]
        named += [
            ("escalation.inhibit", k) for cause, ks in self.escalation.inhibit.items() for k in (cause, *ks)
        ]
        for where, key in named:
            if key.removesuffix(".unknown") not in known and not key.startswith("source."):
                raise ValueError(f"{where} names the rule {key!r}, which does not exist{_hint(key, known)}")
        return self


def load(over: Mapping[str, Any] | None = None, *, target: str = "") -> Settings:
    """Read and validate all layers.

    :param over: a last layer, over the environment.
    :param target: the name of one of ``targets``, whose own settings are laid over the common ones.
    :raises SettingsError: with a line for each fault: the key, the value, the fix.
    """
    return _validated(_layers(), target, over or {})


def load_one(target: str) -> Settings:
    """The settings of a target; of the application, where there are no targets.

    :raises SettingsError: as :func:`load`, and when there are targets and none is named.
    """
    if not target and (names := target_names()):
        raise SettingsError(f"name one of the targets: {', '.join(names)}")
    return load(target=target)


def load_each(only_dag: str | None = None) -> Iterator[Settings]:
    """The settings of each target; where there are none, the settings.

    :param only_dag: the id of a DAG that alone is wanted: then those of its target.
    :raises SettingsError: as :func:`load`.
    """
    layers = _layers()
    only = (only_dag or "").partition(SEPARATOR)[2]
    for name in layers["targets"] or ("",):
        if only in ("", name):
            yield _validated(layers, name, {})


def load_for_dags(only_dag: str | None) -> list[Settings]:
    """The same for the DAGs: a target's fault is its own, as an error in a DAG file would stop the DAGs of all.

    A faulty target has its DAGs, made of what can be used of its settings. Each of their tasks fails, and says the fault.

    :raises SettingsError: when the common settings are at fault, or those of every target.
    """
    try:
        return list(load_each(only_dag))
    except SettingsError:
        layers = _layers()
        only = (only_dag or "").partition(SEPARATOR)[2]
        found = [_usable(layers, name) for name in layers["targets"] if only in ("", name)]
        if not only and all(faults for _, faults in found):
            raise
    for _, faults in found:
        if faults:
            log.error("%s", faults)
    return [settings for settings, _ in found]


def load_usable(target: str) -> Settings:
    """What can be used of the settings of a target, to tell somebody of its fault.

    :raises SettingsError: when the common settings are at fault.
    """
    return _usable(_layers(), target)[0] if target else load()


def target_names() -> tuple[str, ...]:
    """The names of the targets; none where the settings speak of one application.

    :raises SettingsError: when a layer cannot be read, or a target cannot be one.
    """
    return tuple(_layers()["targets"])


def _layers() -> dict[str, Any]:
    """The shipped file, the user's, and the environment, one over the other."""
    merged = _read(SHIPPED)
    if own := os.environ.get(CONFIG_VARIABLE):
        merged = _merge(merged, _read(Path(own)))
    merged = _merge(merged, _environment())
    if sentence := fault(merged, merged["targets"]):
        raise SettingsError(sentence)
    return merged


def _validated(layers: dict[str, Any], target: str, over: Mapping[str, Any]) -> Settings:
    if target:
        if target not in layers["targets"]:
            raise SettingsError(f"there is no target {target!r}{_hint(target, set(layers['targets']))}")
        layers = _merge(layers, of_target(target, layers, layers["targets"][target]))
    try:
        return Settings.model_validate(_merge(layers, over), context=target)
    except ValidationError as error:
        faults = error.errors()
        # An item that is refused also makes its list too short: only the item's own fault is of use.
        inner = [
            f for f in faults if not any(o["loc"][: len(f["loc"])] == f["loc"] and o is not f for o in faults)
        ]
        where = f"targets.{target}: " if target else ""
        raise SettingsError("\n".join(where + sentence for sentence in _sentences(inner, layers))) from None


def _usable(layers: dict[str, Any], target: str) -> tuple[Settings, SettingsError | None]:
    """A target's settings without those sections of its own that are at fault, and what is wrong with them."""
    try:
        return _validated(layers, target, {}), None
    except SettingsError as error:
        faults = error
    own: dict[str, Any] = {}

    def with_own(more: Mapping[str, Any]) -> Settings:
        return _validated({**layers, "targets": {target: {**own, **more}}}, target, {})

    settings = with_own({})
    for section, value in layers["targets"].get(target, {}).items():
        with suppress(SettingsError):
            settings = with_own({section: value})
            own[section] = value
    return settings, faults


def _read(path: Path) -> dict[str, Any]:
    try:
        # The safe loader, in C where PyYAML has it: this runs at each parse of a DAG file.
        content = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    except OSError as error:
        raise SettingsError(f"{path} cannot be read ({error.strerror}): check {CONFIG_VARIABLE}") from None
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}" if where else ""
        raise SettingsError(f"{path} is not valid YAML{line}: {getattr(error, 'problem', error)}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError(f"{path} must hold a mapping of settings, not a {type(content).__name__}")
    return content


def _merge(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _environment() -> dict[str, Any]:
    """The variables as a layer, sections before what is in them: ``null`` is none, lists and mappings are JSON."""
    variables = sorted(name for name in os.environ if name.upper().startswith(PREFIX))
    if not variables:
        return {}
    # Its import takes a third of a DAG file's parse: only for those who set variables.
    from pydantic_settings import EnvSettingsSource
    from pydantic_settings import SettingsError as NotJson

    source = EnvSettingsSource(
        Settings,  # type: ignore[arg-type]  # its fields are all that is asked of it
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_parse_none_str="null",
    )
    values, layer = source.env_vars, dict[str, Any]()
    for name in variables:
        # One at a time: pydantic-settings does not say which variable is no JSON, and ignores those it does not know.
        source.env_vars = {name.lower(): values[name.lower()]}
        try:
            found = source()
        except NotJson:
            raise SettingsError(
                f'{name} = {os.environ[name]!r} is not JSON: write a list as ["…"] and a mapping as {{"key": …}}'
            ) from None
        if not found:
            known = {PREFIX + field.upper() for field in Settings.model_fields}
            hint = _hint(PREFIX + name.upper().removeprefix(PREFIX).split("__")[0], known)
            raise SettingsError(f"{name} is not a setting{hint}: correct or unset the variable")
        layer = _merge(layer, found)
    return layer


def _sentences(errors: Iterable[Any], layers: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each fault; a metric or rule of an unknown name lacks much at once, and that is one."""
    lacking: dict[tuple[str, str], list[Any]] = {}
    for error in errors:
        place = error["loc"]
        if error["type"] == "missing" and place[0] in ("metrics", "log_rules") and len(place) == 3:
            lacking.setdefault(place[:2], []).append(error)
        else:
            yield _sentence(error)
    for (section, key), missing in lacking.items():
        if len(missing) == 1:
            yield _sentence(missing[0])
            continue
        # As texts: YAML has numbers as keys.
        hint = _hint(str(key), {str(known) for known in layers[section]} - {str(key)})
        yield f"{section}.{key} lacks {', '.join(error['loc'][2] for error in missing)}: set them{hint}"


def _sentence(error: Any) -> str:
    """One fault of a pydantic error as a sentence that starts with the key."""
    parts = [str(p) for p in error["loc"] if p != "auto" and not str(p).startswith(("literal[", "function-"))]
    key = ".".join(parts)
    value = error["input"]
    shown = "" if isinstance(value, dict | BaseModel) else f" = {value!r}"
    match error["type"]:
        case "extra_forbidden":
            return f"{key} is not a setting{_hint(parts[-1], _siblings(parts[:-1]))}"
        case "missing":
            return f"{key} is missing: set it"
        case "value_error":
            text = str(error["ctx"]["error"])
            return f"{key}{shown} {text}" if key and shown else f"{key}: {text}" if key else text
        case "tuple_type":
            return f"{key}{shown} is not a list: write its items in [ ]"
        case "model_type" | "dict_type":
            return f"{key}{shown} is not a mapping: write the settings below it"
        case "timezone_aware":
            return f"{key} = {str(value).replace(' ', 'T')} has no offset: write it like 2026-12-01T08:00:00+01:00"
        case _:
            message = error["msg"]
            return f"{key}{shown} is not valid: {message[:1].lower()}{message[1:]}"


def _siblings(path: list[str]) -> set[str]:
    """The names that are allowed at a place, for the hint about a typo."""
    fields: Any = Settings.model_fields
    for part in path:
        if isinstance(fields, dict) and part in fields:
            annotation = fields[part].annotation
            arguments = getattr(annotation, "__args__", ())
            model = next((a for a in (annotation, *arguments) if hasattr(a, "model_fields")), None)
            if model is None:
                return set()
            fields = model.model_fields
    return {field.alias or name for name, field in fields.items()}


def _hint(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""
