# SPDX-License-Identifier: MIT
"""What all tasks share: the settings of their target, our schema, Slack, and errors as one sentence."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException

from processing_time.operators import connections, run

if TYPE_CHECKING:
    from airflow.sdk import Context
    from slack_sdk import WebClient

    from processing_time.outbox import Outbox
    from processing_time.settings import Settings
    from processing_time.store import Store
    from processing_time.store_reports import ReportStore


def task_defaults(settings: Settings, **more: Any) -> dict[str, Any]:
    """The ``default_args`` that the DAGs of a target have in common.

    :param more: what a DAG adds.
    """
    queue = {"queue": settings.schedule.queue} if settings.schedule.queue else {}
    return {
        "owner": "processing-time",
        "target": settings.target,
        "retries": settings.schedule.retries,
        "retry_delay": settings.schedule.retry_delay,
        **queue,
        **more,
    }


def tags(settings: Settings, kind: str) -> list[str]:
    """How the DAGs of a target are found among others."""
    return ["processing-time", kind, *([f"target:{settings.target}"] if settings.target else [])]


class Monitor:
    """What a task of ours has: settings, connections, our schema. Mixed into operators that are something else as well.

    :ivar target: one of ``targets`` of the settings; empty where they speak of one application.
    :ivar mysql_conn_id: the application's database; that of the settings where it is ``None``, as the next two.
    :ivar store_conn_id: our own schema.
    :ivar slack_conn_id: a bot token; ``base_url`` in its extra is honoured.
    """

    target: str = ""
    mysql_conn_id: str | None = None
    store_conn_id: str | None = None
    slack_conn_id: str | None = None

    def settings(self) -> Settings:
        """The settings of the target, read anew.

        :raises AirflowFailException: with a sentence a fault.
        """
        return run.settings(self.target)

    def mysql(self) -> Callable[[], Any]:
        """Opens a connection to the application's database."""
        return connections.mysql_connect(self.mysql_conn_id or self.settings().connections.mysql)

    @cached_property
    def store(self) -> Store:
        """Our own schema; opened, and migrated when needed, at the first use."""
        from processing_time.store import Store

        return Store(self._store_connect())

    @cached_property
    def reports(self) -> ReportStore:
        """The same schema, as the reports use it."""
        from processing_time.store_reports import ReportStore

        return ReportStore(self._store_connect())

    def slack(self) -> WebClient:
        """The Slack client.

        :raises DeliveryError: when there is no such connection, or it holds no token.
        """
        from airflow.sdk.exceptions import AirflowNotFoundException

        from processing_time.delivery import DeliveryError

        conn_id = self.slack_conn_id or self.settings().connections.slack
        try:
            return connections.slack_client(conn_id)
        except (AirflowNotFoundException, AirflowException, ValueError) as error:
            raise DeliveryError(
                f"the connection {conn_id} cannot be used ({type(error).__name__}): add it with type slack"
                " and the bot token, xoxb-…, as its password"
            ) from None

    def deliver(self, outbox: Outbox) -> int:
        """Deliver what Slack is owed; how many messages that were.

        :raises DeliveryError: when messages stay owed.
        :raises StoreError: when our schema cannot be used.
        """
        from processing_time.delivery import deliver
        from processing_time.slack_calls import Slack

        if not outbox.due(run.present()):
            return 0
        return deliver(
            outbox, Slack(self.slack(), time.sleep), self.settings(), clock=run.present, sleep=time.sleep
        )

    @contextmanager
    def in_words(self) -> Iterator[None]:
        """Turn what the library raises into the sentence that a person reads, with the target's connections in it."""
        from processing_time.delivery import DeliveryError
        from processing_time.model import SourceUnavailable
        from processing_time.store_session import StoreError

        try:
            yield
        except (DeliveryError, SourceUnavailable, StoreError) as error:
            raise AirflowException(self.settings().named(str(error))) from None

    def _store_connect(self) -> Callable[[], Any]:
        return connections.store_connect(self.settings(), self.store_conn_id)


class MonitorOperator(Monitor, BaseOperator):
    """A task of ours that does its :meth:`part` with our schema open.

    :param target: one of ``targets`` of the settings; empty where they speak of one application.
    :param mysql_conn_id: the application's database; that of the settings where it is left out, as the next two.
    :param store_conn_id: our own schema.
    :param slack_conn_id: a bot token; ``base_url`` in its extra is honoured.
    """

    template_fields: Sequence[str] = ("target", "mysql_conn_id", "store_conn_id", "slack_conn_id")

    def __init__(
        self,
        *,
        target: str = "",
        mysql_conn_id: str | None = None,
        store_conn_id: str | None = None,
        slack_conn_id: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.target = target
        self.mysql_conn_id = mysql_conn_id
        self.store_conn_id = store_conn_id
        self.slack_conn_id = slack_conn_id

    def execute(self, context: Context) -> Any:
        """Do it, and close our schema.

        :raises AirflowException: with one sentence, when something outside cannot be used.
        """
        with self.in_words(), self.store:
            return self.part(context)

    def part(self, context: Context) -> Any:
        """What the task does and gives."""
        raise NotImplementedError
