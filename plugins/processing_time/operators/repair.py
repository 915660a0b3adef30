# SPDX-License-Identifier: MIT
"""What a task that repairs has beside what all have: everything that an action may reach, and a way to tell Slack of it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from processing_time.incident.action import Hands, Refused
from processing_time.operators import connections
from processing_time.operators.monitor import Monitor, MonitorOperator

if TYPE_CHECKING:
    from processing_time.settings import Settings
    from processing_time.store import Store

log = logging.getLogger(__name__)

T = TypeVar("T")


class Repair(Monitor):
    """What acts on the application, or asks whether it may. To be mixed into an operator."""

    def hands(self, settings: Settings, store: Store) -> Hands:
        """What actions may reach; nothing is opened yet."""
        ids = settings.connections
        return Hands(
            settings=settings,
            application=partial(_open, ids.mysql, lambda c: connections.mysql_connect(c)()),
            write=partial(_open, ids.mysql_write, lambda c: connections.mysql_connect(c)()),
            redis=partial(_open, ids.redis, connections.redis_client),
            artisan=partial(_open, ids.laravel, connections.laravel),
            calcom=partial(_open, ids.calcom, connections.calcom),
            store=store,
        )

    def try_to_deliver(self, store: Store) -> None:
        """Deliver what Slack is owed; what it does not take stays owed, and the next check delivers it."""
        from processing_time.delivery import DeliveryError
        from processing_time.store_session import StoreError

        try:
            self.deliver(store.outbox)
        except (DeliveryError, StoreError) as error:
            log.warning("%s", self.settings().named(str(error)))


class RepairOperator(Repair, MonitorOperator):
    """A task that acts, with our schema open."""


def _open(conn_id: str, client: Callable[[str], T]) -> T:
    """What a connection gives; a refusal where nobody has set it up, or it is mistyped."""
    from airflow.sdk.exceptions import AirflowNotFoundException

    from processing_time.model import SourceUnavailable

    try:
        return client(conn_id)
    except AirflowNotFoundException:
        raise Refused(
            f"the connection {conn_id} is not set up: add it in Airflow (docs/install.md says how)"
        ) from None
    except SourceUnavailable as error:
        raise Refused(str(error)) from None
