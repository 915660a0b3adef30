# SPDX-License-Identifier: MIT
"""What an action is: it plans without changing anything, and acts on what was approved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from redis import Redis

    from processing_time.incident.artisan import Artisan
    from processing_time.incident.calcom import Calcom
    from processing_time.settings import Settings
    from processing_time.store import Store


class Refused(ValueError):
    """The action cannot be done as asked. The text is one sentence: what was given, why not, what to do."""


class Outcome(StrEnum):
    """How an action ended, as its audit row says."""

    DONE = "done"
    DRY_RUN = "dry_run"
    NOTHING_TO_DO = "nothing_to_do"
    PARTLY = "partly"
    REJECTED = "rejected"
    TIMED_OUT = "timed_out"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asked for, validated.

    :param as_of: the instant of the run, UTC: "future" and "recent" are meant from here.
    :param service_id: an integer or a UUID, as text.
    :param appointment_ids: integers or UUIDs, as text; empty: all that the action finds.
    :param until: the end of a mute, UTC.
    """

    action: str
    dry_run: bool
    as_of: datetime
    requested_by: str | None = None
    alert_id: int | None = None
    company_id: int | None = None
    service_id: str | None = None
    appointment_ids: tuple[str, ...] = ()
    cache_key: str | None = None
    rule: str | None = None
    until: datetime | None = None
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values, without what was not given."""
        times = {name: instant.isoformat() for name in ("as_of", "until") if (instant := getattr(self, name))}
        return {k: v for k, v in (asdict(self) | times).items() if v not in (None, ())}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Request:
        """The inverse of :meth:`to_json`."""
        from processing_time.model import utc

        times = {name: utc(data[name]) for name in ("as_of", "until") if name in data}
        return cls(**{**data, **times, "appointment_ids": tuple(data.get("appointment_ids", ()))})


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be done, for the person who approves it; it goes through XCom, so it holds no customer data.

    :param lines: plain sentences, the most important first.
    :param counts: what is touched, by name (``appointments``, ``phases``, ``keys``).
    :param needs_approval: whether a human has to say yes before :meth:`Action.act`.
    :param empty: there is nothing to do.
    :param detail: JSON for the audit row, and what :meth:`Action.act` needs to do this and no more than this.
    """

    lines: tuple[str, ...]
    counts: Mapping[str, int] = field(default_factory=dict)
    needs_approval: bool = True
    empty: bool = False
    detail: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"lines": list(self.lines)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """The inverse of :meth:`to_json`."""
        return cls(**{**data, "lines": tuple(data["lines"])})


@dataclass(frozen=True, slots=True)
class Result:
    """What was done.

    :param lines: plain sentences for the thread, how to see that it worked among them.
    :param detail: JSON for the audit row; of commands the exit code and the end of the output.
    """

    outcome: Outcome
    lines: tuple[str, ...]
    detail: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self) | {"outcome": str(self.outcome), "lines": list(self.lines)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Result:
        """The inverse of :meth:`to_json`."""
        return cls(Outcome(data["outcome"]), tuple(data["lines"]), data["detail"])


@dataclass(frozen=True, slots=True)
class Hands:
    """What an action may reach. Opening is left to the action: a missing connection costs only what needs it.

    :param application: opens a connection that may only SELECT.
    :param write: opens ``processing_time_mysql_write``; raises :class:`Refused` where that is not set up.
    :param redis: a client for the application's cache.
    :param artisan: where ``php artisan`` runs; raises :class:`Refused` where that is not set up.
    :param calcom: Cal.com's API; raises :class:`Refused` where that is not set up.
    """

    settings: Settings
    application: Callable[[], Any]
    write: Callable[[], Any]
    redis: Callable[[], Redis]
    artisan: Callable[[], Artisan]
    calcom: Callable[[], Calcom]
    store: Store


class Action(Protocol):
    """One entry of the form's list.

    ``plan`` changes nothing and may be repeated; ``act`` does no more than the plan says, can be repeated after a crash
    and then finishes the job. Both raise :class:`Refused`. ``act`` is not called for a dry run, an empty plan, or without
    the approval that the plan needs; nobody else acts under the same lock of the registry meanwhile.
    """

    def plan(self, request: Request, hands: Hands) -> Plan:
        """What would be done."""

    def act(self, request: Request, hands: Hands, plan: Plan) -> Result:
        """Do what was planned."""
