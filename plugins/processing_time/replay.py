# SPDX-License-Identifier: MIT
"""What would have been alerted: stored samples, judged and escalated again with the settings of today.

    PYTHONPATH=plugins python -m processing_time.replay --from 2026-03-01 --to 2026-03-08

prints the alerts that the settings in force give beside those that there were, and the messages. Nothing is written and
nobody is told. It starts with no open alert, so give it a start at which there was none.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from airflow.sdk.exceptions import AirflowException

from processing_time.escalation import decide
from processing_time.evaluation import judge
from processing_time.ledger import Ledger
from processing_time.model import Acknowledgement, Alert, Decision, Verdict
from processing_time.operators import connections
from processing_time.rule_tests import rule_name, sends, told
from processing_time.settings import Mute, Settings, SettingsError, load_one
from processing_time.store import Store
from processing_time.store_session import StoreError
from processing_time.timeline import AsOfError, parse_as_of

Judged = tuple[datetime, Sequence[Verdict]]
Pair = tuple[Alert | None, Alert | None]


def replay(
    checks: Iterable[Judged],
    settings: Settings,
    ledger: Ledger,
    happened: Sequence[Alert] = (),
    mutes: Callable[[datetime], Sequence[Mute]] = lambda _: (),
) -> Iterator[tuple[datetime, list[Decision]]]:
    """Judge and escalate checks again, oldest first.

    :param ledger: keeps the alerts; look at it afterwards.
    :param happened: the alerts that there were. Who acknowledged them does so again, and their appointments count as
        dealt with when they were resolved: samples tell neither.
    :param mutes: gives those that held at an instant besides the settings' own.
    """
    written = settings
    for as_of, stored in checks:
        settings = written.model_copy(update={"mutes": (*written.mutes, *mutes(as_of))})
        verdicts = [judged_again(v, settings) for v in stored if _known(v, settings)]
        standing = ledger.standing
        reactions = [r for alert in standing.open_alerts for r in _reactions(alert, happened, as_of)]
        recheck = {a.key: (_left(a, happened, as_of), len(a.subjects)) for a in standing.open_alerts}
        decisions = decide(verdicts, standing, reactions, settings, as_of, recheck)
        ledger.keep(as_of, verdicts, decisions, settings)
        yield as_of, decisions


def judged_again(verdict: Verdict, settings: Settings) -> Verdict:
    """A stored sample against today's bounds; what kept it from paging then still does."""
    judged = judge(verdict.sample, settings)
    return replace(judged, level_cap=min(judged.level_cap, verdict.level_cap))


def paired(would: Sequence[Alert], was: Sequence[Alert]) -> list[Pair]:
    """Alerts of the same rule and company that were open at the same time side by side, the others alone."""
    left = list(was)
    pairs: list[Pair] = []
    for alert in would:
        match = next((w for w in left if w.key == alert.key and _overlap(w, alert)), None)
        if match:
            left.remove(match)
        pairs.append((alert, match))
    pairs += [(None, alert) for alert in left]
    return sorted(pairs, key=lambda pair: min(a.opened_at for a in pair if a))


def report(would: Sequence[Alert], was: Sequence[Alert], zone: ZoneInfo) -> str:
    """The alerts that would have been beside those that were, a line each, times in ``zone``."""
    rows: list[tuple[str, ...]] = [("rule", "would be", "was")]
    for pair in paired(would, was):
        name = next(rule_name(a.rule, a.company_id) for a in pair if a)
        rows.append((name, *(_cell(alert, zone) for alert in pair)))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Replay a stretch of the store; 2 when it cannot be done."""
    parser = argparse.ArgumentParser(prog="processing_time.replay", description=__doc__.split("\n")[0])
    parser.add_argument("--from", dest="start", required=True, help="ISO 8601; local time without an offset")
    parser.add_argument("--to", dest="end", help="the end, not included; the present if left out")
    parser.add_argument(
        "--target", default="", help="which one of the settings' targets; needed where there are some"
    )
    options = parser.parse_args(arguments)
    # As Airflow's own `airflow connections` does: connections in Airflow's database count too.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    try:
        settings, present = load_one(options.target), datetime.now(UTC)
        start = parse_as_of(options.start, settings.zone, present)
        end = parse_as_of(options.end, settings.zone, present) if options.end else present
        with Store(connections.store_connect(settings)) as store:
            print(replayed(store, settings, start, end))
    except AsOfError as error:
        print(str(error).replace("as_of", "the time", 1), file=sys.stderr)
        return 2
    except (SettingsError, StoreError, AirflowException) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def replayed(store: Store, settings: Settings, start: datetime, end: datetime) -> str:
    """The report about the finished checks in ``[start, end)``, with the messages below."""
    checks = [check.as_of for check in store.checks(start, end) if check.finished_at]
    was, ledger = store.alerts(start, end), Ledger()
    messages = [
        f"{as_of.astimezone(settings.zone):%Y-%m-%d %H:%M} {told(decision)}"
        for as_of, decisions in replay(
            ((c, store.verdicts(c)) for c in checks), settings, ledger, was, store.mutes.at
        )
        for decision in decisions
        if sends(decision)
    ]
    counted = f"{len(checks)} checks, {len(messages)} messages with the settings in force"
    return "\n".join([report(ledger.alerts, was, settings.zone), "", counted, *messages])


def _known(verdict: Verdict, settings: Settings) -> bool:
    return verdict.metric in settings.metrics or verdict.metric in settings.log_rules


def _reactions(alert: Alert, happened: Sequence[Alert], as_of: datetime) -> Iterator[Acknowledgement]:
    for was in happened:
        at, user = was.acknowledged_at, was.acknowledged_by
        if was.key == alert.key and alert.id and at and user and alert.opened_at <= at <= as_of:
            yield Acknowledgement(alert.id, user, at)


def _left(alert: Alert, happened: Sequence[Alert], as_of: datetime) -> int:
    still = any(
        w.key == alert.key and w.opened_at <= as_of < (w.resolved_at or datetime.max.replace(tzinfo=UTC))
        for w in happened
    )
    return len(alert.subjects) if still else 0


def _overlap(one: Alert, other: Alert) -> bool:
    for first, second in ((one, other), (other, one)):
        if first.resolved_at and first.resolved_at <= second.opened_at:
            return False
    return True


def _cell(alert: Alert | None, zone: ZoneInfo) -> str:
    if alert is None:
        return "–"
    opened = f"{alert.opened_at.astimezone(zone):%Y-%m-%d %H:%M}"
    resolved = f"{alert.resolved_at.astimezone(zone):%m-%d %H:%M}" if alert.resolved_at else "open"
    return f"{opened} to {resolved}, {alert.severity}, level {alert.level}"


if __name__ == "__main__":
    sys.exit(main())
