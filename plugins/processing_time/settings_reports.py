# SPDX-License-Identifier: MIT
"""Settings of the weekly and monthly reports: when, in which language, where to, and how long things are kept."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, model_validator

from processing_time.settings_types import Cron, Duration, Section, matching

Html = Annotated[
    str,
    matching(
        r"(?:/|[a-z][a-z0-9+.-]*://)\S+",
        "is no place for files: write a folder such as /srv/reports, or one in an object store such as s3://bucket/reports",
    ),
]
Address = Annotated[str, matching(r"https?://\S+", "is not an http(s) address")]
A_MONTH = timedelta(days=35)
"""The longest month, and the time until its rollup has surely run."""


def _mondays(value: str) -> str:
    from croniter import croniter

    if croniter(value, datetime(2026, 1, 1)).get_next(datetime).weekday() != 0:  # noqa: DTZ001  # any day will do
        raise ValueError(
            'is not on Mondays, and only a week that ends on a Sunday is kept: write one such as "30 8 * * 1"'
        )
    return value


Mondays = Annotated[Cron, AfterValidator(_mondays)]


class Reports(Section):
    """When reports are made, how they read, where they go, and how long their raw material is kept."""

    weekly: Mondays
    """when, in `timezone` and on Mondays: the report on the seven days before that midnight"""
    monthly: Cron
    """when, in `timezone`: the rollup of the month before"""
    language: Literal["en", "de"]
    """texts, numbers, dates and weekdays of both reports"""
    html: Html | None = None
    """the folder for the reports as pages: `/srv/reports`, or one in an object store of Airflow's, such as `s3://bucket/reports`"""
    html_url: Address | None = None
    """the address at which people find that folder: Slack links there. `null`: the page is attached in the thread"""
    task_timeout: Duration
    """the longest a task of a report may take"""
    keep_samples: Duration
    """how long measurements are kept; never removed before their month is rolled up. At least `35d`"""
    keep_alerts: Duration
    """the same for resolved alerts"""
    keep_notifications: Duration
    """for messages that were delivered"""
    keep_actions: Duration
    """for the audit of what people did through the incident DAG"""

    @model_validator(mode="after")
    def _address_needs_files(self) -> Self:
        if self.html_url and not self.html:
            raise ValueError("html_url needs html: set the folder that is served at that address")
        return self

    @model_validator(mode="after")
    def _kept_until_rolled_up(self) -> Self:
        if self.keep_samples < A_MONTH:
            raise ValueError(
                f"keep_samples ({self.keep_samples.days}d) must be at least {A_MONTH.days}d: a month is rolled up when it is over"
            )
        return self
