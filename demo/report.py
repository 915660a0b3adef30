# SPDX-License-Identifier: MIT
"""What a newcomer sees of a demo: the table of a check, the threads in Slack, and whether all is as expected.

Everything is read from where it was written: the store's tables, and Slack.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from MySQLdb.cursors import DictCursor
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from demo.account import BERLIN, Account
from demo.application import Server
from demo.processes import ServiceError
from demo.scenarios import Expected
from demo.slack.workspace import Message, Workspace, readers_names
from demo.slack_text import render_thread

_COLOURS = {
    "ok": "green",
    "degraded": "yellow",
    "alert": "bold dark_orange",
    "critical": "bold red",
    "unknown": "bold magenta",
    "insufficient_data": "dim",
    "firing": "bold red",
    "acknowledged": "yellow",
    "resolved": "green",
}


@dataclass(frozen=True)
class Kept:
    """What the monitor keeps of one check (for all companies), and its alerts and messages so far."""

    check: Mapping[str, Any]
    samples: Mapping[str, Mapping[str, Any]]
    alerts: Sequence[Mapping[str, Any]]
    notifications: Sequence[Mapping[str, Any]]


def read_store(server: Server, schema: str, as_of: datetime) -> Kept:
    """The store's rows on the check at `as_of`; raises ServiceError when it kept none."""
    instant = as_of.astimezone(UTC).replace(tzinfo=None)
    with closing(server.root(schema)) as connection, connection.cursor(DictCursor) as cursor:

        def rows(statement: str, *values: object) -> list[dict[str, Any]]:
            cursor.execute(statement, values)
            return list(cursor.fetchall())

        checks = rows("SELECT as_of, state, finished_at FROM checks WHERE as_of = %s", instant)
        samples = rows("SELECT * FROM samples WHERE as_of = %s AND company_id = 0", instant)
        alerts = rows(
            "SELECT id, rule, severity, level, state, opened_at, resolved_at FROM alerts ORDER BY id"
        )
        sent = rows("SELECT alert_id, kind, delivered_at, last_error FROM notifications ORDER BY id")
    if not checks:
        raise ServiceError(f"The store has no check at {as_of.isoformat()}: the run did not keep one.")
    return Kept(checks[0], {row["metric"]: row for row in samples}, alerts, sent)


def check_table(kept: Kept, order: Sequence[str], units: Mapping[str, str]) -> RenderableType:
    """The metrics and rules of a check: value, window, threshold, state, and why."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for heading, ratio in (
        ("metric or rule", 0),
        ("value", 0),
        ("window", 0),
        ("threshold", 2),
        ("state", 0),
    ):
        wraps = heading in ("window", "threshold")
        table.add_column(
            heading, justify="right" if heading == "value" else "left", ratio=ratio or None, no_wrap=not wraps
        )
    reasons = []
    listed = sorted(kept.samples, key=lambda name: order.index(name) if name in order else len(order))
    for name in listed:
        sample = kept.samples[name]
        threshold = str(json.loads(sample["detail"]).get("threshold", ""))
        state = Text(sample["state"].replace("_", " "), style=_COLOURS.get(sample["state"], ""))
        table.add_row(name, _value(sample["value"], units.get(name, "")), _window(sample), threshold, state)
        if sample["reason"] and sample["state"] != "ok":
            reasons.append(Text.assemble((f"{name}: ", "bold"), sample["reason"]))
    return Group(table, *([Text("")] if reasons else []), *reasons)


def check_lines(kept: Kept, told_before: int) -> Iterator[Text]:
    """A check of many: its time, state and what is not well; below it each message, with severity and level.

    `told_before` is how many messages there were before this check.
    """
    local = _berlin(kept.check["as_of"])
    state = kept.check["state"]
    line = Text.assemble(f"{local:%a %H:%M}  ", (f"{state:<18}", _COLOURS.get(state, "")))
    for name, sample in kept.samples.items():
        if sample["state"] in ("alert", "critical", "unknown"):
            value = "" if sample["value"] is None else f" {sample['value']:.4g}"
            line.append(f"{name}{value}  ", style=_COLOURS[sample["state"]].removeprefix("bold "))
    yield line
    alerts = {alert["id"]: alert for alert in kept.alerts}
    for message in kept.notifications[told_before:]:
        alert = alerts.get(message["alert_id"])
        about = f"{alert['rule']}  {alert['severity']}, level {alert['level']}" if alert else ""
        yield Text.assemble((f"             → {message['kind']:<13} ", "blue"), about)


def threads(messages: Sequence[Message], width: int) -> Iterator[RenderableType]:
    """The threads as a reader sees them, a panel each; a broadcast is shown in its thread."""
    names = readers_names(Workspace())
    for root in messages:
        if root.get("thread_ts", root["ts"]) != root["ts"]:
            continue
        channel = root["channel"]
        thread = [
            m for m in messages if m["channel"] == channel and root["ts"] in (m["ts"], m.get("thread_ts"))
        ]
        text = Text(render_thread(thread, names, width=min(width, 114) - 4))
        yield Panel(
            text, title=f"Slack  #{names.get(channel, channel)}", title_align="left", border_style="blue"
        )


def differences(kept: Kept, expected: Expected, account: Account) -> Iterator[tuple[str, bool]]:
    """Each expectation as a sentence, and whether it holds."""
    for name, state in expected.states.items():
        found = kept.samples.get(name, {}).get("state", "not measured")
        yield f"{name} is {state}" + ("" if found == state else f", but it is {found}"), found == state
    for name, bound in expected.below.items():
        value = kept.samples.get(name, {}).get("value")
        yield f"{name} is below {bound:g}: {_value(value, '')}", value is not None and value < bound
    for wanted, word, found in (
        (expected.opened, "opened", {alert["rule"] for alert in kept.alerts}),
        (expected.resolved, "resolved", {a["rule"] for a in kept.alerts if a["state"] == "resolved"}),
    ):
        sentence = f"alerts {word}: {', '.join(sorted(wanted)) or 'none'}"
        yield (
            sentence + ("" if found == wanted else f", but it was {sorted(found) or 'none'}"),
            found == wanted,
        )
    owed = [row for row in kept.notifications if row["delivered_at"] is None]
    yield "every message was delivered" + (f", but {len(owed)} were not" if owed else ""), not owed
    for sentence, holds in expected.account.items():
        yield sentence, holds(account)
    yield from _miscounts(kept, account)


def _miscounts(kept: Kept, account: Account) -> Iterator[tuple[str, bool]]:
    """Each sample against what the account of the generated rows and lines gives, for what could be measured."""
    # All that is read from the log is read from the same instant on.
    since = _berlin(kept.samples["observer_disabled"]["window_start"])
    as_of = _berlin(kept.check["as_of"])
    for name, largest in account.bursts(as_of, since).items():
        if name in kept.samples and kept.samples[name]["state"] != "unknown":
            value = kept.samples[name]["value"]
            yield (
                f"{name} found {value} at most, and counting the generated lines gives {largest}",
                value == largest,
            )
    figures = account.figures(as_of, since)
    for name, sample in kept.samples.items():
        counted = figures.get(name)
        if counted is None or sample["state"] == "unknown":
            continue
        found = sample["numerator"], sample["denominator"]
        agree = all(a == b or (a and b and abs(a - b) < 1e-6) for a, b in zip(found, counted, strict=True))
        yield (
            f"{name} was made from {found}, and counting the generated rows and lines gives {counted}",
            agree,
        )


def _berlin(naive: datetime) -> datetime:
    return naive.replace(tzinfo=UTC).astimezone(BERLIN)


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    shown = f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"
    return f"{shown} {unit}".rstrip()


def _window(sample: Mapping[str, Any]) -> str:
    start, end = _berlin(sample["window_start"]), _berlin(sample["window_end"])
    if start == end:
        return f"at {end:%H:%M}"
    return (
        f"{start:%a %H:%M} – {end:%H:%M}"
        if start.date() == end.date()
        else f"{start:%a %d.%m. %H:%M} – {end:%a %H:%M}"
    )
