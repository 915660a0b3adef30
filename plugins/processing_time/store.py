# SPDX-License-Identifier: MIT
"""The history of checks and alerts in our own schema: what was measured, what was decided, what is remembered.

Instants go in and come out aware, in UTC. A check writes twice: its samples when it has measured
(:meth:`Store.save_check`), then its decisions, its messages and ``finished_at`` in one transaction (:meth:`Store.decide`).
Either may be repeated.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Self

from processing_time.escalation import Standing, counts
from processing_time.evaluation import Memory
from processing_time.model import Alert, Decision, State, Verdict, utc
from processing_time.outbox import AlertKey, Notification, Outbox, enqueue
from processing_time.settings import Settings
from processing_time.store_actions import Actions
from processing_time.store_incident import Mutes, Recoveries, SavedPhases
from processing_time.store_rows import (
    ALERT,
    SAMPLE,
    Check,
    from_alert,
    from_verdict,
    to_alert,
    to_check,
    to_verdict,
)
from processing_time.store_session import Session, aware, fetch, naive, to_json

MEASURED = "measured:"
"""What a sighting's name starts with that says a metric has had something to measure."""
UNTOLD = "untold"
"""Keeps apart, in ``checks.sources``, what a check measured that is older than the newest finished one: it decides nothing
about it, so *since last check* of one that does decide must not start there."""
LOOK_BACK = timedelta(days=9)
"""How far back flags and watermarks are remembered: the longest window and a day."""

Ruling = tuple[Sequence[Decision], Sequence[Notification]]


class Store:
    """Our schema. Close it after use, or use it in a ``with``; one connection, not for several threads.

    :param connect: gives a fresh DB-API connection of a MySQL driver to the schema.
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._session = Session(connect)
        self.outbox = Outbox(self._session)
        self.actions = Actions(self._session)
        self.saved_phases = SavedPhases(self._session)
        self.mutes = Mutes(self._session)
        self.recoveries = Recoveries(self._session)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    # --- what a check needs to know ---------------------------------------------------------------------------

    def since(self, as_of: datetime, source: str) -> datetime | None:
        """The latest finished check before ``as_of`` in which a source was measured; None when there is none.

        A check that is run again gets the answer that it got at first. One that will decide passes over what was measured
        after a newer check had finished: nobody was told of that.
        """
        return self._session.run(lambda cursor: _since(cursor, as_of, source))

    def flags(self, as_of: datetime) -> dict[str, Any] | None:
        """The feature flags that the check of exactly this instant was made with, if it was made before."""

        def read(cursor: Any) -> dict[str, Any] | None:
            rows = fetch(cursor, "SELECT flags FROM checks WHERE as_of = %s", (naive(as_of),))
            return json.loads(rows[0]["flags"]) if rows and rows[0]["flags"] else None

        return self._session.run(read)

    def sightings(self) -> dict[str, datetime]:
        """When each kind of log line was last seen, by name."""
        return self._session.run(_sightings)

    def memory(self, as_of: datetime) -> Memory:
        """What earlier checks have seen, as the evaluation wants it."""

        def read(cursor: Any) -> Memory:
            back = naive(as_of - LOOK_BACK)
            history = fetch(
                cursor,
                "SELECT as_of, flags FROM checks WHERE flags IS NOT NULL AND as_of < %s AND as_of >="
                " COALESCE((SELECT MAX(as_of) FROM checks WHERE flags IS NOT NULL AND as_of < %s), %s)"
                " ORDER BY as_of",
                (naive(as_of), back, back),
            )
            return Memory(
                sightings=_sightings(cursor),
                measured=_measured(cursor),
                flags=[(aware(row["as_of"]), json.loads(row["flags"])) for row in history],
            )

        return self._session.run(read)

    def watermarks(self, as_of: datetime) -> list[tuple[datetime, dict[str, int]]]:
        """The highest ids that the checks of the last days saw (``watermark`` among the database's facts), oldest first."""

        def read(cursor: Any) -> list[tuple[datetime, dict[str, int]]]:
            rows = fetch(
                cursor,
                "SELECT as_of, JSON_EXTRACT(facts, '$.mysql.watermark') AS watermark FROM checks"
                " WHERE as_of >= %s AND as_of < %s ORDER BY as_of",
                (naive(as_of - LOOK_BACK), naive(as_of)),
            )
            return [(aware(row["as_of"]), json.loads(row["watermark"])) for row in rows if row["watermark"]]

        return self._session.run(read)

    def hosts_read(self, after: datetime, before: datetime) -> list[tuple[datetime, list[str]]]:
        """The finished checks between two instants that have told of the log, and of which hosts each of them read it."""

        def read(cursor: Any) -> list[tuple[datetime, list[str]]]:
            rows = fetch(
                cursor,
                "SELECT as_of, JSON_EXTRACT(facts, '$.log.files[*].host') AS hosts FROM checks"
                " WHERE as_of > %s AND as_of < %s AND finished_at IS NOT NULL"
                " AND NOT JSON_CONTAINS_PATH(sources, 'one', %s) ORDER BY as_of",
                (naive(after), naive(before), f"$.{UNTOLD}"),
            )
            return [(aware(row["as_of"]), json.loads(row["hosts"])) for row in rows if row["hosts"]]

        return self._session.run(read)

    def newest_finished(self) -> datetime | None:
        """The ``as_of`` of the newest finished check."""
        return self._session.run(_newest_finished)

    def overtaken(self, as_of: datetime) -> bool:
        """Whether a newer check has finished, so that this one decides nothing."""
        return self._session.run(lambda cursor: _overtaken(cursor, as_of))

    def finished(self, dag_run_id: str, since: datetime | None = None) -> bool:
        """Whether the check of a run has been finished, at or after an instant such as the start of its last try."""
        sql = "SELECT finished_at FROM checks WHERE dag_run_id = %s AND finished_at IS NOT NULL"
        rows = self._session.run(lambda cursor: fetch(cursor, sql, (dag_run_id,)))
        return any(since is None or row["finished_at"] >= naive(since) for row in rows)

    # --- what a check writes ----------------------------------------------------------------------------------

    def save_check(
        self,
        *,
        as_of: datetime,
        dag_run_id: str,
        verdicts: Sequence[Verdict],
        state: State,
        flags: Mapping[str, Any] | None,
        facts: Mapping[str, Mapping[str, Any]],
        sources: Collection[str],
    ) -> None:
        """Write what was measured, in place of what an earlier run of the same check wrote.

        :param flags: the feature flags; empty or None when they are not known.
        :param facts: by source; the log's ``sightings`` are remembered, only later ones than those known count.
        :param sources: the sources that were measured.
        """
        seen = {name: utc(at) for name, at in facts.get("log", {}).get("sightings", {}).items()}
        seen.update({MEASURED + v.metric: as_of for v in verdicts if _had_something(v)})

        def write(cursor: Any) -> None:
            starts = {source: _since(cursor, as_of, source) for source in sources}
            measured = {source: start.isoformat() if start else None for source, start in starts.items()}
            cursor.execute(
                "INSERT INTO checks (as_of, dag_run_id, state, flags, sources, facts) VALUES (%s, %s, %s, %s, %s, %s)"
                " ON DUPLICATE KEY UPDATE dag_run_id = VALUES(dag_run_id), state = VALUES(state),"
                " flags = VALUES(flags), sources = VALUES(sources), facts = VALUES(facts)",
                (
                    naive(as_of),
                    dag_run_id,
                    str(state),
                    to_json(dict(flags)) if flags else None,
                    to_json(_apart(cursor, as_of, measured)),
                    to_json(facts),
                ),
            )
            cursor.execute("DELETE FROM samples WHERE as_of = %s", (naive(as_of),))
            cursor.executemany(
                f"INSERT INTO samples (as_of, {', '.join(SAMPLE)}) VALUES ({_marks(1 + len(SAMPLE))})",  # noqa: S608
                [(naive(as_of), *from_verdict(v)) for v in verdicts],
            )
            cursor.executemany(
                "INSERT INTO sightings (name, last_seen) VALUES (%s, %s)"
                " ON DUPLICATE KEY UPDATE last_seen = GREATEST(last_seen, VALUES(last_seen))",
                [(name, naive(at)) for name, at in sorted(seen.items())],
            )

        self._session.run(write)

    def decide(
        self, as_of: datetime, ruling: Callable[[Standing], Ruling], settings: Settings, finished_at: datetime
    ) -> list[Decision]:
        """Let ``ruling`` decide about what stands, and commit alerts, messages and ``finished_at`` together.

        Nobody else decides meanwhile, and ``ruling`` is called again when the transaction has to be repeated. A check that
        is older than the newest finished one is only marked as finished; ``ruling`` is not asked.

        :param ruling: pure; gives decisions, and messages that name their alert by rule and company.
        :param finished_at: the present time.
        :return: the decisions; the alerts in ``after`` carry their ids.
        """

        def write(cursor: Any) -> list[Decision]:
            if _overtaken(cursor, as_of):
                _set_apart(cursor, as_of)
                _finish(cursor, as_of, finished_at, counted=False)
                return []
            standing = _standing(cursor, as_of, settings)
            decisions, notifications = ruling(standing)
            stored = [replace(d, after=_save_alert(cursor, d.after)) if d.after else d for d in decisions]
            ids = {alert.key: alert.id for d in stored for alert in (d.before, d.after) if alert}
            enqueue(cursor, notifications, ids, finished_at)
            _finish(cursor, as_of, finished_at, counted=counts(as_of, standing.last_counted_at, settings))
            return stored

        return self._session.run(write, lock="decide")

    def standing(self, as_of: datetime, settings: Settings) -> Standing:
        """What the escalation remembers between checks."""
        return self._session.run(lambda cursor: _standing(cursor, as_of, settings))

    # --- what has been decided --------------------------------------------------------------------------------

    def alerts(self, start: datetime, end: datetime) -> list[Alert]:
        """The alerts that were open at some time in ``[start, end)``, by opening."""
        return self._session.run(
            lambda cursor: _alerts(
                cursor,
                "WHERE opened_at < %s AND (resolved_at IS NULL OR resolved_at >= %s)",
                (naive(end), naive(start)),
            )
        )

    def checks(self, start: datetime, end: datetime) -> list[Check]:
        """The checks with an ``as_of`` in ``[start, end)``, oldest first."""

        def read(cursor: Any) -> list[Check]:
            rows = fetch(
                cursor,
                "SELECT as_of, dag_run_id, state, finished_at, counted, flags, facts FROM checks"
                " WHERE as_of >= %s AND as_of < %s ORDER BY as_of",
                (naive(start), naive(end)),
            )
            return [to_check(row) for row in rows]

        return self._session.run(read)

    def verdicts(self, as_of: datetime) -> list[Verdict]:
        """What was measured and judged at one check."""

        def read(cursor: Any) -> list[Verdict]:
            rows = fetch(
                cursor,
                f"SELECT {', '.join(SAMPLE)} FROM samples WHERE as_of = %s ORDER BY metric, company_id",  # noqa: S608
                (naive(as_of),),
            )
            return [to_verdict(row) for row in rows]

        return self._session.run(read)


def _since(cursor: Any, as_of: datetime, source: str) -> datetime | None:
    # What the check itself was given at first; a check that was backfilled before it since then changes nothing.
    (kept,) = fetch(
        cursor, "SELECT (SELECT sources FROM checks WHERE as_of = %s) AS sources", (naive(as_of),)
    )
    starts = json.loads(kept["sources"]) if kept["sources"] else {}
    starts = {**starts.pop(UNTOLD, {}), **starts}
    if source in starts:
        return utc(starts[source]) if starts[source] else None
    rows = fetch(
        cursor,
        "SELECT as_of FROM checks WHERE as_of < %s AND finished_at IS NOT NULL"
        " AND JSON_CONTAINS_PATH(sources, 'one', %s, %s) ORDER BY as_of DESC LIMIT 1",
        (naive(as_of), f"$.{source}", f"$.{UNTOLD}.{source}" if _overtaken(cursor, as_of) else f"$.{source}"),
    )
    return aware(rows[0]["as_of"]) if rows else None


def _apart(cursor: Any, as_of: datetime, measured: Mapping[str, str | None]) -> dict[str, Any]:
    """The sources of a check, apart from the others those that it measured when a newer check had finished."""
    if not _overtaken(cursor, as_of):
        return dict(measured)
    sql = "SELECT sources FROM checks WHERE as_of = %s AND finished_at IS NOT NULL"
    rows = fetch(cursor, sql, (naive(as_of),))
    before = json.loads(rows[0]["sources"]) if rows else {UNTOLD: {}}
    told = {source: start for source, start in measured.items() if source in before}
    untold = {source: start for source, start in measured.items() if source not in before}
    return {**told, UNTOLD: untold} if untold or UNTOLD in before else told


def _set_apart(cursor: Any, as_of: datetime) -> None:
    """A newer check has finished before this one decided for the first time: of what it measured nobody is told."""
    sql = "SELECT sources FROM checks WHERE as_of = %s AND finished_at IS NULL"
    for row in fetch(cursor, sql, (naive(as_of),)):
        sources = json.loads(row["sources"])
        untold = {**sources.pop(UNTOLD, {}), **sources}
        cursor.execute(
            "UPDATE checks SET sources = %s WHERE as_of = %s", (to_json({UNTOLD: untold}), naive(as_of))
        )


def _sightings(cursor: Any) -> dict[str, datetime]:
    rows = fetch(cursor, "SELECT name, last_seen FROM sightings")
    return {row["name"]: aware(row["last_seen"]) for row in rows if not row["name"].startswith(MEASURED)}


def _had_something(verdict: Verdict) -> bool:
    """Whether there was something to measure: no keys at all, or no appointments, may also be a wrong setting."""
    sample = verdict.sample
    return sample.value is not None and bool(sample.value or sample.denominator or verdict.state.good)


def _measured(cursor: Any) -> frozenset[str]:
    rows = fetch(cursor, "SELECT name FROM sightings WHERE name LIKE %s", (f"{MEASURED}%",))
    return frozenset(row["name"].removeprefix(MEASURED) for row in rows)


def _overtaken(cursor: Any, as_of: datetime) -> bool:
    newest = _newest_finished(cursor)
    return newest is not None and as_of < newest


def _newest_finished(cursor: Any) -> datetime | None:
    (row,) = fetch(cursor, "SELECT MAX(as_of) AS as_of FROM checks WHERE finished_at IS NOT NULL")
    return aware(row["as_of"]) if row["as_of"] else None


def _finish(cursor: Any, as_of: datetime, finished_at: datetime, *, counted: bool) -> None:
    cursor.execute(
        "UPDATE checks SET finished_at = %s, counted = counted OR %s WHERE as_of = %s",
        (naive(finished_at), counted, naive(as_of)),
    )


def _standing(cursor: Any, as_of: datetime, settings: Settings) -> Standing:
    (row,) = fetch(
        cursor, "SELECT MAX(as_of) AS as_of FROM checks WHERE counted AND as_of <= %s", (naive(as_of),)
    )
    return Standing(
        open_alerts=_alerts(cursor, "WHERE is_open = 1"),
        last_counted_at=aware(row["as_of"]) if row["as_of"] else None,
        streaks=_streaks(cursor, as_of, settings),
    )


def _streaks(cursor: Any, as_of: datetime, settings: Settings) -> dict[AlertKey, int]:
    """Bad counted checks in a row before this one; those without evidence are passed over."""
    rules = {**settings.metrics, **settings.log_rules}
    needed = {key: rule.for_checks or settings.escalation.for_checks for key, rule in rules.items()}
    patient = [key for key, checks in needed.items() if checks > 1]
    if not patient:
        return {}
    rows = fetch(
        cursor,
        "SELECT s.metric, s.company_id, s.state FROM samples AS s JOIN checks AS c ON c.as_of = s.as_of"  # noqa: S608
        f" WHERE c.counted AND c.as_of < %s AND c.as_of >= %s AND s.metric IN ({_marks(len(patient))})"
        " ORDER BY c.as_of DESC",
        (naive(as_of), naive(as_of - LOOK_BACK), *patient),
    )
    streaks: dict[AlertKey, int] = {}
    over: set[AlertKey] = set()
    for row in rows:
        key, state = (row["metric"], row["company_id"]), State(row["state"])
        if state.good:
            over.add(key)
        elif state.bad and key not in over:
            streaks[key] = streaks.get(key, 0) + 1
    return streaks


def _alerts(cursor: Any, where: str, parameters: tuple[Any, ...] = ()) -> list[Alert]:
    rows = fetch(cursor, f"SELECT id, {', '.join(ALERT)} FROM alerts {where} ORDER BY id", parameters)  # noqa: S608
    return [to_alert(row) for row in rows]


def _save_alert(cursor: Any, alert: Alert) -> Alert:
    """Write an alert, new or known; where its thread is, only the delivery may say."""
    values = from_alert(alert)
    if alert.id is None:
        cursor.execute(
            f"INSERT INTO alerts ({', '.join(values)}) VALUES ({_marks(len(values))})",  # noqa: S608
            tuple(values.values()),
        )
        return replace(alert, id=cursor.lastrowid)
    del values["slack_channel"], values["slack_ts"]
    assignments = ", ".join(f"{name} = %s" for name in values)
    cursor.execute(f"UPDATE alerts SET {assignments} WHERE id = %s", (*values.values(), alert.id))  # noqa: S608
    return alert


def _marks(count: int) -> str:
    return ", ".join(["%s"] * count)
