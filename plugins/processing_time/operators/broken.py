# SPDX-License-Identifier: MIT
"""Monitoring the monitor: a task that broke, or a check that is late, says so in Slack.

Past the outbox, because the store may be what broke. When Slack cannot be reached either, that is logged; the dead man's
switch behind ``heartbeat_url`` is for that.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import Context

    from processing_time.settings import Settings

log = logging.getLogger(__name__)

UNWATCHED = "Until it works again nobody watches Processing Time."


def tell_of_broken_task(context: Context) -> None:
    """Say that a task failed for good (``on_failure_callback`` of a task); a dry run and a mistyped one are silent.

    Only the kind of the exception is told: its text may hold what nobody should read in Slack, and is in the log.
    """
    from processing_time.operators import run

    if not run.dry(context) and not isinstance(context.get("exception"), run.RefusedParam):
        _tell(context, _broken(context, "Monitoring is broken", UNWATCHED))


def tell_of_late_check(context: Context) -> None:
    """Say that a run did not finish within ``dagrun_timeout`` (``on_failure_callback`` of the DAG).

    Its unfinished tasks are skipped then, so no task speaks for itself. A run that failed otherwise has spoken, and so has
    a check that finished without the log of a host whose worker is gone: only that host's task is still queued.
    """
    from processing_time.messages.blocks import escape

    if context.get("reason") == "timed_out" and not _finished(context):
        dag_id = escape(context["dag"].dag_id)
        _tell(
            context,
            f":warning: Monitoring is late: a run of {dag_id} did not finish in time and was ended. {UNWATCHED}",
        )


def tell_of_broken_report(context: Context) -> None:
    """Say that a report could not be made or sent (``on_failure_callback`` of its tasks).

    A dry run, a mistyped one and a backfill are silent.
    """
    from processing_time.operators import run

    silent = (
        run.dry(context) or run.backfill(context) or isinstance(context.get("exception"), run.RefusedParam)
    )
    if not silent:
        _tell(
            context,
            _broken(context, "A report is missing", "Its log says what to mend; clear the task then."),
        )


def tell_of_late_report(context: Context) -> None:
    """Say that a report did not finish within ``dagrun_timeout`` (``on_failure_callback`` of its DAG)."""
    from processing_time.messages.blocks import escape

    if context.get("reason") == "timed_out":
        dag_id = escape(context["dag"].dag_id)
        _tell(
            context, f":warning: A report is missing: a run of {dag_id} did not finish in time and was ended."
        )


def tell_of_broken_incident(context: Context) -> None:
    """Say that an incident run could not be completed (``on_failure_callback`` of its last task).

    That task fails on purpose when what was asked for was refused or failed; it has said so itself then.
    """
    from airflow.sdk.exceptions import AirflowFailException

    if not isinstance(context.get("exception"), AirflowFailException):
        then = "What it did is in the logs of its other tasks."
        _tell(context, _broken(context, "An incident run could not be completed", then))


def _finished(context: Context) -> bool:
    """Whether the check itself is done, and waits for the log of a host for no purpose."""
    from airflow.sdk.exceptions import AirflowException

    from processing_time.operators import connections
    from processing_time.store import Store
    from processing_time.store_session import StoreError

    settings, run_id = _settings(context), context.get("run_id")
    if not settings.application.log_hosts or not run_id:
        return False
    started = getattr(context.get("dag_run"), "start_date", None)
    try:
        with Store(connections.store_connect(settings)) as store:
            return store.finished(run_id, since=started)
    except (AirflowException, StoreError):
        return False


def _broken(context: Context, what: str, then: str) -> str:
    """Which task failed, with the kind of its exception and the way to its log."""
    from processing_time.messages.blocks import escape

    instance, error = context["ti"], context.get("exception")
    kind = type(error).__name__ if error else "unknown error"
    text = (
        f":warning: {what}: task {escape(instance.task_id)} of {escape(instance.dag_id)} failed"
        f" ({escape(kind)}). {then}"
    )
    url = getattr(instance, "log_url", None)
    return f"{text} <{url}|Open the log>" if url else text


def _settings(context: Context) -> Settings:
    """Those of the target, without what is at fault in them; a whole run's callback has no task, so the DAG is asked."""
    from processing_time.settings import load_usable

    return load_usable((getattr(context["dag"], "default_args", None) or {}).get("target", ""))


def _tell(context: Context, text: str) -> None:
    from airflow.sdk.exceptions import AirflowException
    from slack_sdk.errors import SlackClientError

    from processing_time.operators import connections

    settings = _settings(context)
    channel = settings.slack.channel("high")
    if not channel:
        log.warning("slack.channels is empty: nobody was told this: %s", text)
        return
    try:
        connections.slack_client(settings.connections.slack).chat_postMessage(channel=channel, text=text)
    except (SlackClientError, OSError, AirflowException) as fault:
        log.warning("Slack could not be told (%s): %s", type(fault).__name__, text)
