# SPDX-License-Identifier: MIT
"""Rows of the store as the words of the domain, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from processing_time.model import Alert, AlertState, Loss, Sample, Severity, State, Verdict, Window
from processing_time.store_session import aware, naive, to_json


@dataclass(frozen=True, slots=True)
class Check:
    """A check as it is stored. ``flags`` is None where none are configured; ``facts`` come by source."""

    as_of: datetime
    dag_run_id: str
    state: State
    flags: Mapping[str, Any] | None
    facts: Mapping[str, Any]
    finished_at: datetime | None
    counted: bool


SAMPLE = (
    *("metric", "company_id", "window_start", "window_end", "value", "numerator", "denominator"),
    *("state", "severity", "reason", "loss", "certain", "level_cap", "muted", "detail"),
)
"""The columns of a sample behind ``as_of``."""


def from_verdict(verdict: Verdict) -> tuple[Any, ...]:
    """The values of :data:`SAMPLE`, in its order."""
    sample = verdict.sample
    return (
        sample.metric,
        sample.company_id,
        naive(sample.window.start),
        naive(sample.window.end),
        sample.value,
        sample.numerator,
        sample.denominator,
        str(verdict.state),
        verdict.severity and str(verdict.severity),
        verdict.reason,
        sample.loss and str(sample.loss),
        verdict.certain,
        verdict.level_cap,
        verdict.muted,
        to_json({**sample.detail, "threshold": verdict.threshold}),
    )


def to_verdict(row: Mapping[str, Any]) -> Verdict:
    """A row of ``samples`` as the verdict that it was."""
    detail = json.loads(row["detail"])
    sample = Sample(
        metric=row["metric"],
        window=Window(aware(row["window_start"]), aware(row["window_end"])),
        company_id=row["company_id"],
        value=row["value"],
        numerator=row["numerator"],
        denominator=row["denominator"],
        detail=detail,
        loss=Loss(row["loss"]) if row["loss"] else None,
        reason=row["reason"] if row["loss"] else "",
    )
    return Verdict(
        sample=sample,
        state=State(row["state"]),
        severity=Severity(row["severity"]) if row["severity"] else None,
        reason=row["reason"],
        threshold=detail["threshold"],
        certain=bool(row["certain"]),
        level_cap=row["level_cap"],
        muted=row["muted"],
    )


def to_check(row: Mapping[str, Any]) -> Check:
    """A row of ``checks``."""
    return Check(
        as_of=aware(row["as_of"]),
        dag_run_id=row["dag_run_id"],
        state=State(row["state"]),
        flags=json.loads(row["flags"]) if row["flags"] else None,
        facts=json.loads(row["facts"]),
        finished_at=aware(row["finished_at"]) if row["finished_at"] else None,
        counted=bool(row["counted"]),
    )


ALERT = tuple(f.name for f in fields(Alert) if f.name != "id")
"""The columns of an alert behind ``id``."""
_TIMES = frozenset(name for name in ALERT if name.endswith(("_at", "_until")))
_LISTS = frozenset({"subjects", "acknowledgers"})


def from_alert(alert: Alert) -> dict[str, Any]:
    """The values of an alert by column, without its id."""
    values: dict[str, Any] = {}
    for name in ALERT:
        value = getattr(alert, name)
        values[name] = naive(value) if name in _TIMES else to_json(value) if name in _LISTS else value
    return {**values, "severity": str(alert.severity), "state": str(alert.state)}


def to_alert(row: Mapping[str, Any]) -> Alert:
    """A row of ``alerts``."""
    values = dict(row)
    for name in _TIMES:
        values[name] = aware(row[name]) if row[name] else None
    for name in _LISTS:
        values[name] = tuple(json.loads(row[name]))
    return Alert(**{**values, "severity": Severity(row["severity"]), "state": AlertState(row["state"])})
