# SPDX-License-Identifier: MIT
"""What every task asks of its run: the settings, ``as_of``, whether it is a dry run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowFailException

from processing_time.settings import Settings, SettingsError, load

if TYPE_CHECKING:
    from airflow.sdk import Context

    from processing_time.store import Store


class RefusedParam(AirflowFailException):
    """What a person typed into the form cannot be used. That is for them to read, not for Slack."""


def present() -> datetime:
    """The wall clock, read at the rim only; UTC."""
    return datetime.now(UTC)


def settings(target: str = "") -> Settings:
    """The settings, read anew in each task.

    :param target: one of ``targets``; empty where there are none.
    :raises AirflowFailException: with a sentence a fault; repeating the task would not help.
    """
    try:
        return load(target=target)
    except SettingsError as error:
        raise AirflowFailException(str(error)) from None


def with_mutes(settings: Settings, store: Store, as_of: datetime) -> Settings:
    """The settings with the mutes that somebody set without a deployment, as they hold at an instant.

    :raises StoreError: when the store cannot be used.
    """
    return settings.model_copy(update={"mutes": (*settings.mutes, *store.mutes.at(as_of))})


def as_of(context: Context, settings: Settings) -> datetime:
    """The instant that the run speaks for: the ``as_of`` param of a manual run, else ``run_after``; UTC.

    :raises RefusedParam: when the param is not a usable instant.
    """
    from processing_time.timeline import AsOfError, parse_as_of, whole_seconds

    given = context["params"].get("as_of")
    if not given:
        run_after = context["dag_run"].run_after
        return whole_seconds(run_after)
    try:
        return parse_as_of(str(given), settings.zone, present())
    except AsOfError as error:
        raise RefusedParam(str(error)) from None


def page(context: Context) -> str:
    """The address of the run in Airflow's pages; empty where they have none."""
    address, _, _ = getattr(context["ti"], "log_url", "").partition("/tasks/")
    return str(address)


def dry(context: Context) -> bool:
    """Whether the run evaluates and shows only."""
    return bool(context["params"].get("dry_run"))


def backfill(context: Context) -> bool:
    """Whether the run belongs to a backfill: it makes history, which nobody wants to be told of."""
    run_type = context["dag_run"].run_type
    return str(getattr(run_type, "value", run_type)) == "backfill"
