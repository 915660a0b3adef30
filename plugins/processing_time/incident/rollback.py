# SPDX-License-Identifier: MIT
"""``rollback``, level 4: the feature is switched off, and future appointments become regular ones again.

Their phases are copied into our own schema, committed there, read back and compared; only then are they deleted, by
primary key, as long as they are still what was copied; then the copies are marked. A process that ends in between loses
nothing: whatever is left is done by the next run, and :mod:`relaunch` puts the phases back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice

from processing_time.incident import targets
from processing_time.incident.action import Hands, Outcome, Plan, Refused, Request, Result
from processing_time.incident.bookings import calendar
from processing_time.incident.conflicts import Booking, Pair, collisions, conflicts, partners, report
from processing_time.incident.registry import load
from processing_time.incident.saved_phases import BrokenOff, PhaseTable, opened, repairing
from processing_time.model import SourceUnavailable
from processing_time.sources import feature_flags
from processing_time.store_incident import Copy, CopyState, DamagedCopy

MOST = 20_000
"""Appointments of one run: what a plan names has to travel from task to task."""
BATCH = 100
"""Appointments whose phases are locked and deleted in one transaction."""
SHOWN, LINES = 10, 30
"""Ids in a line, and lines about conflicts."""
SAID_OFF = (
    "The application's .env says that the feature is off. Whether a cached configuration says otherwise cannot be seen from"
    " here: run php artisan config:clear, or config:cache."
)
FINGERPRINT = 12
"""Digits of a copy's checksum that say whether an appointment is still what was approved."""


@dataclass(slots=True)
class _Progress:
    """What has become of the approved appointments."""

    done: list[int] = field(default_factory=list)
    phases: int = 0
    changed: list[int] = field(default_factory=list)


class Rollback:
    """Level 4.

    :param clock: the present time; UTC.
    """

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock

    def plan(self, request: Request, hands: Hands) -> Plan:
        """Count what would be turned back and what would collide then."""
        switch = _switch_off(request, hands)
        services, named = targets.services(request, hands), whole_numbers(request.appointment_ids)
        with calendar(hands) as now:
            found = now.to_turn_back(request.as_of, named, services)
            bookings = now.bookings(request.as_of)
        # Over the connection that is going to write: whether it may is better known before anything is approved.
        with repairing(hands) as table:
            approved, phases = _fingerprints(table, found[:MOST])
        left = hands.store.saved_phases.in_force(CopyState.SAVED)
        pairs = conflicts(bookings, {*map(int, approved)})
        lines = [_turns_back(request, len(approved), phases)]
        if left_out := sorted({*named} - {*found}):
            lines.append(
                f"Nothing is there to turn back for {numbers(left_out)}: past, deleted, or without such phases."
            )
        if len(found) > MOST:
            lines.append(f"{len(found) - MOST} more are left to another run: {MOST} are the most of one.")
        if left:
            lines.append(
                f"An earlier rollback was cut off at {len(left)} appointments: it is finished first."
            )
        lines += [*switch.lines, *_conflict_lines(pairs, bookings)]
        return Plan(
            lines=tuple(lines),
            counts={
                "appointments": len(approved),
                "phases": phases,
                "conflicts": len({later for _, later in pairs}),
            },
            empty=not approved and not left,
            detail={
                "appointments": approved,
                "conflicts": [list(pair) for pair in pairs],
                "switch": {"empty": switch.empty, "detail": dict(switch.detail)},
            },
        )

    def act(self, request: Request, hands: Hands, plan: Plan) -> Result:
        """Switch off, then take the phases of the approved appointments out."""
        off = _switched_off(request, hands, plan)
        if off.outcome not in (Outcome.DONE, Outcome.NOTHING_TO_DO):
            return Result(Outcome.FAILED, (*off.lines, "No appointment was touched."), off.detail)
        approved = {int(id_): digits for id_, digits in plan.detail["appointments"].items()}
        try:
            with calendar(hands) as now:
                bookings = now.bookings(request.as_of)
        except Refused as refused:  # the switch was done, so this is none any more
            return Result(
                Outcome.FAILED, (*off.lines, f"Then {refused}. No appointment was touched."), off.detail
            )
        # Before any phase is gone: relaunch asks which of the collisions are newer than this.
        overlapping = partners(collisions(bookings.values()))
        known = {(first, later) for first, later in plan.detail["conflicts"]}
        new = [pair for pair in conflicts(bookings, {*approved}) if pair not in known]
        progress, stopped = _Progress(), ""
        try:
            with opened(hands) as table:
                self._settle(table, hands)
                for ids in batches(sorted(approved)):
                    self._batch({id_: approved[id_] for id_ in ids}, table, hands, overlapping, progress)
                self._settle(table, hands)
        except (BrokenOff, Refused) as broken:
            stopped = str(broken)
        return _result(progress, off, _conflict_lines(new, bookings, "more "), stopped)

    def _batch(
        self,
        approved: Mapping[int, str],
        table: PhaseTable,
        hands: Hands,
        overlapping: Mapping[int, frozenset[int]],
        progress: _Progress,
    ) -> None:
        kept = hands.store.saved_phases
        found = table.copies(list(approved))
        same = [c for id_, c in found.items() if c.phases and c.checksum.startswith(approved[id_])]
        kept.save(same, overlapping, self._clock())
        # What the application is compared with once more is what was read back, not what was written.
        saved = kept.read([c.appointment_id for c in same])
        if [s.copy for s in saved.values()] != same:
            raise DamagedCopy(
                "the store does not give back what was saved: nothing of this batch was deleted"
            )
        removed = table.remove([s.copy for s in saved.values()])
        kept.mark([saved[id_].id for id_ in removed], CopyState.REMOVED, self._clock())
        # An attempt that was cut off has left appointments without phases, and their copies.
        gone = kept.read([id_ for id_, copy in found.items() if not copy.phases])
        progress.done += [*removed, *gone]
        progress.phases += sum(len(saved[id_].copy.phases) for id_ in removed)
        progress.phases += sum(len(s.copy.phases) for s in gone.values())
        progress.changed += [id_ for id_ in approved if id_ not in removed and id_ not in gone]

    def _settle(self, table: PhaseTable, hands: Hands) -> None:
        """Mark the copies of a process that was ended: what it had deleted, and what is still there."""
        kept = hands.store.saved_phases
        for ids in batches(kept.in_force(CopyState.SAVED)):
            there = {id_ for id_, copy in table.copies(ids).items() if copy.phases}
            saved = kept.read(ids)
            kept.mark(
                [s.id for id_, s in saved.items() if id_ not in there], CopyState.REMOVED, self._clock()
            )
            kept.mark([s.id for id_, s in saved.items() if id_ in there], CopyState.OBSOLETE, self._clock())


def _switch_off(request: Request, hands: Hands) -> Plan:
    """What has to be done to switch the feature off; empty when it is off.

    :raises Refused: when it can be neither switched off from here nor read to be off.
    """
    try:
        plan = load("disable_feature").plan(request, hands)
    except Refused as refused:
        if _off_for_everybody(hands):
            return Plan((SAID_OFF,), empty=True)
        raise Refused(
            f"a rollback switches the feature off first, and that cannot be done from here: {refused}"
        ) from None
    return Plan(("The feature is off already.",), empty=True) if plan.empty else plan


def _switched_off(request: Request, hands: Hands, plan: Plan) -> Result:
    """The feature is off after this.

    :raises Refused: when that is not what was approved, or cannot be done.
    """
    approved = plan.detail["switch"]
    now = _switch_off(request, hands)
    if now.empty:  # also after an attempt that was cut off behind this
        return Result(Outcome.NOTHING_TO_DO, now.lines)
    if approved["empty"]:
        raise Refused("the feature was switched on since this was approved: start it again")
    return load("disable_feature").act(request, hands, Plan((), detail=approved["detail"]))


def whole_numbers(appointments: Sequence[str]) -> list[int]:
    """Ids of appointments.

    :raises Refused: for a UUID.
    """
    for id_ in appointments:
        if not id_.isdecimal():
            raise Refused(f"appointment_ids holds {id_}: appointments have whole numbers as ids")
    return [int(id_) for id_ in appointments]


def batches(ids: Sequence[int]) -> list[list[int]]:
    """Ids in portions of :data:`BATCH`."""
    left = iter(ids)
    return list(iter(lambda: list(islice(left, BATCH)), []))


def numbers(ids: Sequence[int]) -> str:
    """The first ids in words."""
    more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
    return ", ".join(map(str, ids[:SHOWN])) + more


def _off_for_everybody(hands: Hands) -> bool:
    try:
        flags = feature_flags.read(hands.settings.application.env_file)
    except SourceUnavailable:
        return False
    return flags.configured and not flags.enabled and not flags.service_whitelist


def _fingerprints(table: PhaseTable, ids: Sequence[int]) -> tuple[dict[str, str], int]:
    """By appointment what says whether it is still the same, and the number of phases."""
    approved: dict[str, str] = {}
    phases = 0
    for some in batches(ids):
        copies: list[Copy] = [c for c in table.copies(some).values() if c.phases]
        approved |= {str(c.appointment_id): c.checksum[:FINGERPRINT] for c in copies}
        phases += sum(len(c.phases) for c in copies)
    return approved, phases


def _turns_back(request: Request, appointments: int, phases: int) -> str:
    narrowed = {"company": request.company_id, "service": request.service_id}
    of = "".join(f" of {what} {id_}" for what, id_ in narrowed.items() if id_ is not None)
    return (
        f"Turn {_appointments(appointments)}{of} that lie ahead back into regular ones: {phases} phases are copied into"
        " saved_phases, compared, and deleted. relaunch puts them back."
    )


def _conflict_lines(pairs: Sequence[Pair], bookings: Mapping[int, Booking], word: str = "") -> list[str]:
    count = len({later for _, later in pairs})
    if not count:
        return [] if word else ["No booking collides once the staff is busy for the whole time."]
    what = f"{word}booking collides" if count == 1 else f"{word}bookings collide"
    lines = report(pairs, bookings, SHOWN)
    more = [f"and {len(lines) - LINES} more companies, services and days"] if len(lines) > LINES else []
    return [
        f"{count} {what} once the staff is busy for the whole time. People have to move them:",
        *lines[:LINES],
        *more,
    ]


def _result(progress: _Progress, off: Result, conflicting: Sequence[str], stopped: str) -> Result:
    count, changed = len(progress.done), progress.changed
    lines = [
        *off.lines,
        f"{_appointments(count)} turned back; the {progress.phases} phases are in saved_phases.",
    ]
    if stopped:
        lines.append(f"Then {stopped}.")
    if changed:
        lines.append(
            f"{_appointments(len(changed))} changed since this was approved and stayed as they are:"
            f" {numbers(changed)}. Run it again for them."
        )
    lines += conflicting
    lines.append("It worked when the plan of another rollback, as a dry run, counts 0 appointments.")
    unfinished = Outcome.PARTLY if count else Outcome.FAILED
    return Result(
        unfinished if stopped or changed else Outcome.DONE,
        tuple(lines),
        {
            "switch": dict(off.detail),
            "appointments": count,
            "phases": progress.phases,
            "changed": changed,
        },
    )


def _appointments(count: int) -> str:
    return f"{count} {'appointment' if count == 1 else 'appointments'}"
