# SPDX-License-Identifier: MIT
"""Monitoring the monitor: a task that broke says so in Slack, past the outbox, because the store may be what broke."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)


def tell_of_broken_task(context: Context) -> None:
    """Post one message about a task that failed for good (``on_failure_callback`` of a task).

    Only the kind of the exception is told: its text may hold what nobody should read in Slack; it is in the
    task's log. When Slack cannot be reached either, that is logged; the dead man's switch is for that.
    """
    from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException
    from slack_sdk.errors import SlackApiError, SlackClientError

    from processing_time.messages.blocks import escape
    from processing_time.operators import connections, run

    instance = context["ti"]
    if run.dry(context):
        return
    error = context.get("exception")
    kind = type(error).__name__ if error else "unknown error"
    text = (
        f":warning: Monitoring is broken: task {escape(instance.task_id)} of {escape(instance.dag_id)} failed"
        f" ({escape(kind)}). Until it works again nobody watches Processing Time."
    )
    if url := getattr(instance, "log_url", None):
        text += f" <{url}|Open the log>"
    channel = run.settings().slack.channel("high")
    if not channel:
        log.warning("slack.channels is empty: nobody was told that %s failed", instance.task_id)
        return
    try:
        connections.slack_client(connections.SLACK).chat_postMessage(channel=channel, text=text)
    except (SlackApiError, SlackClientError, OSError, AirflowException, AirflowNotFoundException) as fault:
        log.warning("Slack could not be told that %s failed (%s)", instance.task_id, type(fault).__name__)
