# SPDX-License-Identifier: MIT
"""``create_missing_phases``: has the application's own service make the phases that appointments lack.

Which ones lack them is decided as the metric ``orphaned_appointments`` decides it: eligible by flags, not deleted, and
older than ``application.grace`` where nobody named them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from processing_time.incident import targets
from processing_time.incident.action import Hands, Outcome, Plan, Refused, Request, Result
from processing_time.incident.artisan import CHUNK, Artisan
from processing_time.model import SourceUnavailable
from processing_time.settings import Settings
from processing_time.sources import feature_flags, queries
from processing_time.sources import scope as scoping
from processing_time.sources.boundaries import Boundaries
from processing_time.sources.snapshot import ConnectionLost, QueryFault, Snapshot, snapshot
from processing_time.timeline import Timeline

SHOWN = 50
"""Ids in a line for people."""
_TOLD = {
    "created": "have their phases now",
    "present": "had phases already",
    "none": "got none: the application's service does not make any for them",
    "missing": "do not exist any more",
    "failed": "failed in the application: its log says why",
}


class CreateMissingPhases:
    """Makes the phases of the appointments given, or of all orphaned ones of yesterday and today."""

    def plan(self, request: Request, hands: Hands) -> Plan:
        """List them; nothing is asked of the application but whether artisan answers."""
        hands.artisan().features()
        most = hands.settings.incident.max_appointments
        orphans = _orphans(request, hands, request.appointment_ids)
        ids, more = orphans[:most], len(orphans) > most
        lines = [
            f"Create the phases of {_appointments(len(ids))} by the application's own service: {_listed(ids)}."
        ]
        if more:
            lines.append(f"The newest {most}; older ones wait for another run (incident.max_appointments).")
        if left := len(request.appointment_ids) - len(ids):
            lines.append(
                f"{left} of those named are left out: they have phases, are deleted, or are not eligible."
            )
        if not ids:
            lines[0] = "No eligible appointment is without phases: nothing to create."
        return Plan(
            lines=tuple(lines),
            counts={"appointments": len(ids)},
            empty=not ids,
            detail={"appointments": list(ids)},
        )

    def act(self, request: Request, hands: Hands, plan: Plan) -> Result:
        """Make them for those of the plan that still have none; then ask the database again."""
        wanted = _orphans(request, hands, plan.detail["appointments"])
        if not wanted:
            return Result(
                Outcome.NOTHING_TO_DO, ("None of the approved appointments is without phases any more.",)
            )
        outcomes, fault = _created(hands.artisan(), wanted)
        counts = Counter(outcome.split()[0] for outcome in outcomes.values())
        lines = [f"It broke off. {fault}"] if fault else []
        lines += [f"{_appointments(counts[o])} {told}." for o, told in _TOLD.items() if counts[o]]
        try:
            left = _orphans(request, hands, wanted)
        except Refused as refused:  # what was made by then stays made
            outcome = Outcome.PARTLY if outcomes else Outcome.FAILED
            return Result(outcome, (*lines, f"Then {refused}."), {"outcomes": outcomes})
        lines.append(
            f"Still without phases in the database: {_listed(left)}."
            if left
            else "The database was asked again: none of them is without phases."
        )
        outcome = Outcome.DONE if not left else Outcome.FAILED if len(left) == len(wanted) else Outcome.PARTLY
        return Result(outcome, tuple(lines), {"outcomes": outcomes, "still_without_phases": left})


def _created(artisan: Artisan, wanted: Sequence[str]) -> tuple[dict[str, str], str]:
    """What became of each, and why it broke off before the last one, if it did."""
    outcomes: dict[str, str] = {}
    try:
        for start in range(0, len(wanted), CHUNK):
            outcomes |= artisan.create_phases(wanted[start : start + CHUNK])
    except Refused as fault:  # a machine that does not answer any more, too
        return outcomes, str(fault)
    return outcomes, ""


def _orphans(request: Request, hands: Hands, among: Sequence[str]) -> list[str]:
    """Ids of appointments without phases, newest first: of those given, or one more than may be touched."""
    settings = hands.settings
    services = targets.services(request, hands)
    try:
        flags = feature_flags.read(settings.application.env_file)
        with snapshot(hands.application, settings.schedule.statement_timeout) as opened:
            found = scoping.shape(opened, scoping.TABLES)
            scope = scoping.scope(opened, settings.application, flags, found)
            eligible = [
                id_ for id_ in scope.values[scoping.ELIGIBLE] if services is None or str(id_) in services
            ]
            known = {**scope.values, scoping.ELIGIBLE: eligible}
            if among:
                path = "context/orphaned_appointments_among.sql"
                known |= {"appointments": [int(i) if i.isdecimal() else i for i in among]}
            else:
                path = "context/orphaned_appointments_to_repair.sql"
                known |= _window(opened, settings, request)
            query = queries.read(path)
            scope.require(query, scope.identifiers)
            statement = query.statement(scope.identifiers)
            rows = opened.rows(*queries.bind(statement, known, query.path))
    except (SourceUnavailable, QueryFault, ConnectionLost) as error:
        raise Refused(f"which appointments have no phases cannot be told: {error}") from None
    ids = [str(id_) for (id_,) in rows]
    # To a column of numbers '12ab…' is 12: an id that is not the same text is another one.
    return [id_ for id_ in ids if id_ in set(among)] if among else ids


def _window(opened: Snapshot, settings: Settings, request: Request) -> dict[str, Any]:
    """What is bound for the metric's window at the instant of the run."""
    timeline = Timeline(request.as_of, settings.zone, settings.application_zone, request.as_of)
    window = timeline.windows["yesterday_and_today"]
    return {
        "first_appointment": Boundaries(opened, timeline, (), window.start).appointments(window.start).first,
        "window_start": timeline.to_application(window.start),
        "grace_end": timeline.to_application(window.end - settings.application.grace),
        "shown": settings.incident.max_appointments + 1,
    }


def _appointments(count: int) -> str:
    return f"{count} {'appointment' if count == 1 else 'appointments'}"


def _listed(ids: Sequence[str]) -> str:
    left = len(ids) - SHOWN
    return ", ".join(ids[:SHOWN]) + (f" and {left} more" if left > 0 else "")
