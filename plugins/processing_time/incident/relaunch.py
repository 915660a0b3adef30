# SPDX-License-Identifier: MIT
"""``relaunch``: puts the phases that a rollback took out back where they still fit, and switches the feature on.

In that order. While the feature is off the application makes no phases, so nobody else makes those that are about to be
put back; with it on, an appointment that somebody moves gets new ones and would have both. A relaunch that is cut off
leaves the feature off, and another one goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby

from processing_time.incident.action import Hands, Outcome, Plan, Refused, Request, Result
from processing_time.incident.bookings import calendar
from processing_time.incident.conflicts import Booking, Span, collisions, partners
from processing_time.incident.registry import load
from processing_time.incident.rollback import MOST, batches, numbers, whole_numbers
from processing_time.incident.saved_phases import BrokenOff, NotAsItWas, PhaseTable, opened, repairing
from processing_time.store_incident import Copy, CopyState, Saved

COLLIDES = "collides with a newer booking"


@dataclass(slots=True)
class _Progress:
    """What has become of the approved appointments; ``left`` are those that stay regular, and why.

    ``already`` counts those that a process that was ended, or another run, has put back and marked.
    """

    done: list[int] = field(default_factory=list)
    phases: int = 0
    already: int = 0
    left: dict[int, str] = field(default_factory=dict)


class Relaunch:
    """The way back from :class:`~processing_time.incident.rollback.Rollback`.

    :param clock: the present time; UTC.
    """

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock

    def plan(self, request: Request, hands: Hands) -> Plan:
        """Say which saved phases still fit, and what does not."""
        try:
            switch = load("enable_feature").plan(request, hands)
        except Refused as refused:
            switch = Plan((f"The feature has to be switched on by hand afterwards: {refused}",), empty=True)
        ids = _ids(request, hands)
        saved = {
            id_: s for some in batches(ids[:MOST]) for id_, s in hands.store.saved_phases.read(some).items()
        }
        with repairing(hands) as table:
            misfits = _misfits(saved, table, hands)
        fitting = {str(id_): s.copy.checksum for id_, s in saved.items() if id_ not in misfits}
        phases = sum(len(saved[int(id_)].copy.phases) for id_ in fitting)
        lines = [
            f"Put {phases} saved phases of {len(fitting)} appointments back, as they were.",
            *_misfit_lines(misfits),
            *switch.lines,
        ]
        if len(ids) > MOST:
            lines.append(f"{len(ids) - MOST} more are left to another run: {MOST} are the most of one.")
        return Plan(
            lines=tuple(lines),
            counts={"appointments": len(fitting), "phases": phases, "misfits": len(misfits)},
            empty=not fitting and switch.empty,
            detail={
                "appointments": fitting,
                "switch": None if switch.empty else dict(switch.detail),
            },
        )

    def act(self, request: Request, hands: Hands, plan: Plan) -> Result:
        """Put the approved ones back, then switch on."""
        approved = plan.detail["appointments"]
        progress, stopped = _Progress(), ""
        try:
            with opened(hands) as table:
                self._restore([int(id_) for id_ in approved], approved, table, hands, progress)
        except (BrokenOff, NotAsItWas) as problem:
            stopped = str(problem)
        lines = [
            f"The {progress.phases} phases of {len(progress.done)} appointments are back, as they were.",
            *([f"{progress.already} appointments had theirs back already."] if progress.already else []),
            *_misfit_lines(progress.left),
        ]
        detail = {
            "appointments": len(progress.done),
            "phases": progress.phases,
            "already": progress.already,
            "left": {str(id_): why for id_, why in progress.left.items()},
        }
        unfinished = Outcome.PARTLY if progress.done or progress.already else Outcome.FAILED
        if stopped:
            lines.append(f"Then {stopped}. The feature was not switched on.")
            return Result(unfinished, tuple(lines), detail)
        outcome = Outcome.PARTLY if progress.left else Outcome.DONE
        try:
            if plan.detail["switch"] is not None and not load("enable_feature").plan(request, hands).empty:
                on = load("enable_feature").act(request, hands, Plan((), detail=plan.detail["switch"]))
                lines += on.lines
                detail["switch"] = dict(on.detail)
                outcome = outcome if on.outcome is Outcome.DONE else Outcome.PARTLY
        except Refused as refused:  # the phases are back, so this is none any more
            lines.append(f"Then the feature was to be switched on: {refused}.")
            outcome = unfinished
        return Result(outcome, tuple(lines), detail)

    def _restore(
        self,
        ids: Sequence[int],
        approved: Mapping[str, str],
        table: PhaseTable,
        hands: Hands,
        progress: _Progress,
    ) -> None:
        kept = hands.store.saved_phases
        saved = {id_: s for some in batches(ids) for id_, s in kept.read(some).items()}
        progress.already = len(ids) - len(saved)
        other = {id_ for id_, s in saved.items() if s.copy.checksum != approved[str(id_)]}
        progress.left |= dict.fromkeys(other, "was saved anew since this was approved")
        wanted = {id_: s for id_, s in saved.items() if id_ not in other}
        progress.left |= (misfits := _misfits(wanted, table, hands))
        for some in batches([id_ for id_ in wanted if id_ not in misfits]):
            reasons = table.restore([wanted[id_].copy for id_ in some])
            back = [wanted[id_] for id_, why in reasons.items() if not why]
            kept.mark([s.id for s in back], CopyState.RESTORED, self._clock())
            progress.done += [s.copy.appointment_id for s in back]
            progress.phases += sum(len(s.copy.phases) for s in back)
            progress.left |= {id_: why for id_, why in reasons.items() if why}


def _ids(request: Request, hands: Hands) -> list[int]:
    """The appointments with a copy in force: those that were named, or all."""
    named = {*whole_numbers(request.appointment_ids)}
    return [id_ for id_ in hands.store.saved_phases.in_force() if not named or id_ in named]


def _misfits(saved: Mapping[int, Saved], table: PhaseTable, hands: Hands) -> dict[int, str]:
    """By appointment why its phases do not fit any more."""
    reasons: dict[int, str] = {}
    for some in batches(list(saved)):
        reasons |= table.misfits([saved[id_].copy for id_ in some])
    misfits = {id_: why for id_, why in reasons.items() if why}
    return misfits | _colliding({id_: s for id_, s in saved.items() if id_ not in misfits}, hands)


def _colliding(saved: Mapping[int, Saved], hands: Hands) -> dict[int, str]:
    """Those whose staff is needed by another booking meanwhile; what collided when it was saved does not count."""
    if not saved:
        return {}
    first = min(_instant(s.copy.appointment.get("starts_at")) for s in saved.values())
    with calendar(hands) as now:
        bookings = now.bookings(first)
    found: dict[int, str] = {}
    while True:
        # One that stays regular keeps its staff busy all the time, and may collide with another because of that.
        split = {
            id_: replace(bookings[id_], busy=_needed(s.copy, bookings[id_]))
            for id_, s in saved.items()
            if id_ in bookings and id_ not in found
        }
        others = partners(collisions((bookings | split).values()))
        more = {id_: others[id_] - saved[id_].overlapping for id_ in split if id_ in others}
        if not any(more.values()):
            return found
        found |= {id_: f"{COLLIDES} ({numbers(sorted(new))})" for id_, new in more.items() if new}


def _needed(copy: Copy, booking: Booking) -> tuple[Span, ...]:
    """When the saved phases need their member of staff, in the seconds that the booking is told in."""
    start = _instant(copy.appointment.get("starts_at"))

    def seconds(text: str | None) -> int:
        return booking.whole[0] + int((_instant(text) - start).total_seconds())

    return tuple(
        (seconds(phase.get("start_time")), seconds(phase.get("end_time")))
        for phase in copy.phases
        if phase.get("staff_required") != "0"
    )


def _instant(text: str | None) -> datetime:
    """A time of the saved phases; one that is not there or not real keeps nobody busy."""
    try:
        return datetime.fromisoformat(text or "").replace(tzinfo=UTC)
    except ValueError:
        return datetime(1970, 1, 2, tzinfo=UTC)


def _misfit_lines(misfits: Mapping[int, str]) -> list[str]:
    """A line a reason; the newer bookings that each collides with are in the detail."""
    by_reason = sorted((why.partition(" (")[0], id_) for id_, why in misfits.items())
    lines = []
    for reason, group in groupby(by_reason, key=lambda item: item[0]):
        ids = [id_ for _, id_ in group]
        lines.append(f"Stays a regular appointment because it {reason}: {numbers(ids)}.")
    return lines
