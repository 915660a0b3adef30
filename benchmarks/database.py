# SPDX-License-Identifier: MIT
"""What the database metrics cost on tables of production size, against the guide's queries and against a bare count."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from statistics import median

from benchmarks import database_guide, database_peer, database_writer
from benchmarks.database_data import Counting, Server, Table, fill, tables
from benchmarks.database_guide import METRICS
from benchmarks.database_monitor import Monitor
from benchmarks.figures import Bench, Figure, Size, Target
from benchmarks.timing import by_turns

PART = "database"
RATES = ("phase_creation_success_rate", "calcom_sync_success_rate", "phase_distribution")
OVERLAPS = "overlapping_bookings"
INDEXES: Mapping[str, str] = {
    "covering": "starts_at, staff_id, created_at, service_id, deleted_at",
    "created": "created_at",
}
"""What might be added to the application's own indexes on appointments: columns by name."""


def measure(bench: Bench) -> list[Figure]:
    """Every figure of the database; makes the tables first when they are not there."""
    with Server(bench) as server:
        every = tables(bench.size)
        for table in every:
            fill(server, table, bench)
        monitors = [Monitor(server, table) for table in every]
        largest = monitors[-1]
        _only_own_indexes(server, largest.table)
        return [
            *_growth(monitors, bench),
            *_cost(largest, bench),
            *_answers(monitors[0], bench),
            *_indexes(largest, bench),
            *database_writer.measure(largest, bench),
            *(database_peer.measure(server, largest.table, bench) if bench.peers else []),
        ]


def _growth(monitors: Sequence[Monitor], bench: Bench) -> Iterator[Figure]:
    """Rows read and seconds for the same check on tables of different lengths."""
    read, told = [], set()
    for monitor in monitors:
        length = monitor.table.appointments
        bench.say(f"a check on {length:,} appointments")
        counting = Counting(monitor.connect())
        samples = monitor.check(connect=lambda: counting).samples  # noqa: B023
        told.add(str([(s.metric, s.company_id, s.numerator, s.denominator) for s in samples]))
        read.append(counting.rows_read)
        of = f"of {length:,} appointments"
        yield Figure(PART, f"rows_read_{length}", f"rows read for a check {of}", counting.rows_read, "rows")
        runs = by_turns(_runs(bench), {"check": monitor.check})["check"]
        yield _milliseconds(f"check_{length}", f"a check {of}", runs)
        guides = database_guide.rows_read(monitor.server, monitor.table)
        words = f"rows read for the guide's queries {of}, without its overlaps"
        yield Figure(PART, f"guide_rows_read_{length}", words, guides, "rows")
    if len(told) > 1:
        raise ValueError("the same last weeks gave different samples on tables of different lengths")
    yield Figure(
        PART,
        "rows_read_growth",
        "more rows read on the largest table than on the smallest",
        100 * (max(read) / min(read) - 1),
        "%",
        target=Target(10, "at most"),
    )


def _cost(monitor: Monitor, bench: Bench) -> Iterator[Figure]:
    """The six metrics against the guide's queries and against a bare count, by turns."""
    bench.say("the six metrics")
    alone: list[dict[str, float]] = []
    runs = by_turns(
        _runs(bench),
        {
            "count": monitor.count,
            "check": monitor.check,
            "check_shipped": partial(monitor.check, monitor.shipped),
            "alone": lambda: alone.append(monitor.seconds()),
        },
    )
    guides, cut_off = _guides(monitor, bench)
    ours = {key: tuple(each[key] for each in alone) for key in METRICS}
    check, count = median(runs["check"]), median(runs["count"])
    yield _milliseconds("count", "a bare count of the ids of seven days and today", runs["count"])
    yield _milliseconds(
        "check", "all six metrics, all companies and each, connection included", runs["check"]
    )
    words = "the same with all that is shipped: the burn rates of two error budgets"
    yield _milliseconds("check_shipped", words, runs["check_shipped"])
    for key in METRICS:
        yield _milliseconds(f"ours_{key}", f"{key}: ours", ours[key])
        at_least = cut_off and key == OVERLAPS
        yield _milliseconds(f"guide_{key}", f"{key}: the guide's query", guides[key], at_least)
    words = "all six metrics, faster than the guide's queries"
    faster = sum(map(median, guides.values())) / check
    target = Target(300, "at least")
    yield Figure(PART, "speed_up", words, faster, "×", target=target, at_least=cut_off)
    words = "the three rates together, against the bare count"
    rates = sum(median(ours[key]) for key in RATES)
    yield Figure(PART, "rates", words, rates / count, "×", target=Target(8, "at most"))
    words = "overlaps with the application's own indexes, against the bare count"
    yield Figure(PART, "overlaps", words, median(ours[OVERLAPS]) / count, "×", target=Target(100, "at most"))
    first = by_turns(3, {"check": partial(monitor.check, watermarks=())})["check"]
    words = "a check without any watermark (the first of an installation, a backfill)"
    yield _milliseconds("first_check", words, first)


def _guides(monitor: Monitor, bench: Bench) -> tuple[dict[str, tuple[float, ...]], bool]:
    """The seconds of the guide's queries, and whether its slowest was cut off: that runs once."""
    bench.say("the guide's queries")
    times: dict[str, tuple[float, ...]] = {}
    cut_off = False
    for key in METRICS:
        once = key == OVERLAPS and bench.size is Size.FULL
        answers = [
            database_guide.ask(monitor.server, monitor.table, key, bench.limit)
            for _ in range(1 if once else 3)
        ]
        times[key] = tuple(seconds for seconds, _ in answers)
        cut_off = cut_off or any(rows is None for _, rows in answers)
    return times, cut_off


def _answers(monitor: Monitor, bench: Bench) -> Iterator[Figure]:
    """Where the guide's queries are wrong.

    Raises ValueError when they are not like the monitor's where they are right, counted as they count.
    """
    bench.say("the guide's answers")
    server, table = monitor.server, monitor.table
    collected = monitor.check(monitor.as_the_guide)
    if different := database_guide.differences(server, table, collected, bench.limit):
        raise ValueError(f"the guide's queries give something else than ours: {'; '.join(different)}")
    _, shares = database_guide.ask(server, table, "phase_distribution", bench.limit)
    if shares:
        words = "the share that the guide prints for a third of today's phases"
        yield Figure(
            PART, "guide_share", words, float(shares[0][2]), "%", note="it divides by all phases ever"
        )
    _, overlaps = database_guide.ask(server, table, OVERLAPS, bench.limit)
    if overlaps is not None:
        ours = next(s.value for s in collected.samples if (s.metric, s.company_id) == (OVERLAPS, 0))
        counted = sum(int(row[1]) for row in overlaps)
        words = "bookings that the guide counts where there is one"
        note = f"{counted:,} for {ours:,.0f}: one that starts in two phases counts twice"
        yield Figure(PART, "guide_overlaps", words, counted / (ours or 1), "×", note=note)


def _indexes(monitor: Monitor, bench: Bench) -> Iterator[Figure]:
    """What each index that could be added buys, measured with it alone."""
    for name, columns in INDEXES.items():
        bench.say(f"an index on ({columns})")
        with _index(monitor.server, monitor.table, name) as size:
            yield Figure(PART, f"index_{name}_size", f"size of an index on ({columns})", size, "MiB")
            alone: list[float] = []
            runs = by_turns(
                _runs(bench),
                {
                    "count": monitor.count,
                    "first": partial(monitor.check, watermarks=()),
                    "alone": lambda: alone.append(monitor.seconds()[OVERLAPS]),  # noqa: B023
                },
            )
            words = f"a check without watermark, with an index on ({columns})"
            yield _milliseconds(f"first_check_{name}", words, runs["first"])
            yield Figure(
                PART,
                f"overlaps_{name}",
                f"overlaps with an index on ({columns}), against the bare count",
                median(alone) / median(runs["count"]),
                "×",
                target=Target(40, "at most") if name == "covering" else None,
            )


@contextlib.contextmanager
def _index(server: Server, table: Table, name: str) -> Iterator[float]:
    """Add an index and take it away again; gives its size in MiB."""
    with contextlib.closing(server.root(table.schema)) as connection, connection.cursor() as cursor:
        cursor.execute(f"CREATE INDEX {name} ON appointments ({INDEXES[name]})")
        try:
            cursor.execute(
                "SELECT stat_value * @@innodb_page_size / 1048576 FROM mysql.innodb_index_stats"
                " WHERE database_name = %s AND index_name = %s AND stat_name = 'size'",
                [table.schema, name],
            )
            yield float(cursor.fetchone()[0])
        finally:
            _only_own_indexes(server, table)


def _only_own_indexes(server: Server, table: Table) -> None:
    """Take away what was added, also by a run that did not end well."""
    dropped = ", ".join(f"DROP INDEX IF EXISTS {name}" for name in INDEXES)
    with contextlib.closing(server.root(table.schema)) as connection, connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE appointments {dropped}")


def _runs(bench: Bench) -> int:
    return 7 if bench.size is Size.FULL else 3


def _milliseconds(key: str, title: str, seconds: Sequence[float], at_least: bool = False) -> Figure:
    runs = tuple(1000 * each for each in seconds)
    return Figure(PART, key, title, median(runs), "ms", runs=runs, at_least=at_least)
