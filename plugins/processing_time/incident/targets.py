# SPDX-License-Identifier: MIT
"""Whether the company and the service that somebody named exist, and which services they are."""

from __future__ import annotations

from typing import Any

from processing_time.incident.action import Hands, Refused, Request
from processing_time.model import SourceUnavailable
from processing_time.sources import queries
from processing_time.sources.snapshot import ConnectionLost, QueryFault, snapshot


def services(request: Request, hands: Hands) -> tuple[str, ...] | None:
    """The ids of the services that a request is about, as text; None when it names neither company nor service.

    :raises Refused: when what it names does not exist, or cannot be looked up.
    """
    if request.company_id is None and request.service_id is None:
        return None
    query = queries.read("diagnostics/services_named.sql")
    values: dict[str, Any] = {"company_id": request.company_id, "service_id": request.service_id}
    try:
        with snapshot(hands.application, hands.settings.schedule.statement_timeout) as opened:
            rows = opened.rows(query.statement({}), values)
    except (SourceUnavailable, QueryFault, ConnectionLost) as error:
        raise Refused(f"the company or service cannot be looked up: {error}") from None
    found = tuple(str(id_).lower() for id_, _ in rows)
    if not found:
        named = {"company": request.company_id, "service": request.service_id}
        told = " of ".join(f"{what} {id_}" for what, id_ in reversed(named.items()) if id_ is not None)
        raise Refused(f"there is no {told}: correct the number")
    if request.service_id is not None and request.service_id not in found:
        # A server compares '12abc' and 12 as equal; an id that is not the same text is another one.
        raise Refused(f"there is no service {request.service_id}: correct the number")
    return found
