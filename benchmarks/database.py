# SPDX-License-Identifier: MIT
"""What the database metrics cost on tables of production size, against the guide's queries and against a bare count."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from benchmarks import database_guide, database_peer, database_writer
from benchmarks.database_data import AS_OF, Counting, Server, Table, fill, tables
from benchmarks.database_guide import METRICS
from benchmarks.figures import Bench, Figure, Size, Target
from processing_time import settings as settings_module
from processing_time.model import Collected
from processing_time.settings import Settings
from processing_time.sources import database, queries
from processing_time.sources.boundaries import Watermark
from processing_time.sources.feature_flags import FeatureFlags
from processing_time.sources.snapshot import snapshot
from processing_time.timeline import Timeline

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
    monitor = _Monitor()
    with Server(bench) as server:
        every = tables(bench.size)
        for table in every:
            fill(server, table, bench)
        largest = every[-1]
        _only_own_indexes(server, largest)
        return [
            *_growth(server, every, monitor, bench),
            *_cost(server, largest, monitor, bench),
            *_answers(server, every[0], monitor, bench),
            *_indexes(server, largest, monitor, bench),
            *database_writer.measure(server, largest, monitor.check, bench),
            *(database_peer.measure(server, largest, bench) if bench.peers else []),
        ]


class _Monitor:
    """The monitor as it is shipped, for the deployed application; all services may use the feature."""

    def __init__(self) -> None:
        shipped = settings_module.load()
        application = shipped.application.model_copy(
            update={"sync_status_column": "calcom_sync_status", "error_values": ("failed",)}
        )
        self.shipped = shipped.model_copy(update={"application": application})
        self.six = self.only(METRICS)

    def only(self, keys: Iterable[str]) -> Settings:
        """The settings with these metrics of the database and no others."""
        return self.shipped.model_copy(update={"metrics": {key: self.shipped.metrics[key] for key in keys}})

    @property
    def counting_as_the_guide(self) -> Settings:
        """Deleted rows too, no grace, orphans of today."""
        application = self.shipped.application.model_copy(
            update={"soft_deletes": False, "grace": timedelta(0)}
        )
        today = self.shipped.metrics["orphaned_appointments"].model_copy(update={"window": "today"})
        metrics = {**self.six.metrics, "orphaned_appointments": today}
        return self.six.model_copy(update={"application": application, "metrics": metrics})

    def check(
        self,
        connect: Callable[[], Any],
        watermarks: Sequence[Watermark],
        settings: Settings | None = None,
    ) -> Collected:
        """One check, from the connection to the samples; raises ValueError when anything could not be measured."""
        chosen = settings or self.six
        collected = database.collect(connect, chosen, _timeline(chosen), FeatureFlags(), watermarks)
        if lost := [f"{s.metric}: {s.reason}" for s in collected.samples if s.loss]:
            raise ValueError(f"a metric of the benchmark could not be measured: {lost[0]}")
        return collected

    def seconds(self, server: Server, table: Table) -> dict[str, float]:
        """How long each of the six metrics takes, its boundary included, on one open snapshot."""
        took = {}
        settings, timeline = self.six, _timeline(self.six)
        chosen = {key: queries.read(f"metrics/{key}.sql") for key in METRICS}
        with snapshot(lambda: server.connect(table.schema), settings.schedule.statement_timeout) as opened:
            # A metric alone can only be had from inside of a check.
            scope = database._scope(opened, settings, FeatureFlags(), chosen.values())
            for key, query in chosen.items():
                check = database._Check(opened, settings, timeline, scope, table.watermarks)
                window = timeline.window(settings.metrics[key])
                took[key] = _timed(lambda: check._measure(key, query, window))  # noqa: B023
        return took


def _timeline(settings: Settings) -> Timeline:
    return Timeline(AS_OF, settings.zone, ZoneInfo(settings.application.timezone), AS_OF)


def _timed(what: Callable[[], object]) -> float:
    begun = time.perf_counter()
    what()
    return time.perf_counter() - begun


def _growth(server: Server, every: Sequence[Table], monitor: _Monitor, bench: Bench) -> Iterator[Figure]:
    """Rows read and seconds for the same check on tables of different lengths."""
    read, told = [], set()
    for table in every:
        bench.say(f"database: a check on {table.appointments:,} appointments")
        counting = Counting(server.connect(table.schema))
        collected = monitor.check(lambda: counting, table.watermarks)  # noqa: B023
        told.add(str([(s.metric, s.company_id, s.numerator, s.denominator) for s in collected.samples]))
        read.append(counting.rows_read)
        runs = [
            _timed(lambda: monitor.check(lambda: server.connect(table.schema), table.watermarks))  # noqa: B023
            for _ in range(_runs(bench))
        ]
        of = f"of {table.appointments:,} appointments"
        yield Figure(
            PART, f"rows_read_{table.appointments}", f"rows read for a check {of}", counting.rows_read, "rows"
        )
        yield _milliseconds(f"check_{table.appointments}", f"a check {of}", runs)
        yield Figure(
            PART,
            f"guide_rows_read_{table.appointments}",
            f"rows read for the guide's queries {of}, without its overlaps",
            database_guide.rows_read(server, table),
            "rows",
        )
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


def _cost(server: Server, table: Table, monitor: _Monitor, bench: Bench) -> Iterator[Figure]:
    """The six metrics against the guide's queries and against a bare count, in turns."""
    ours: dict[str, list[float]] = {key: [] for key in METRICS}
    guides: dict[str, list[float]] = {key: [] for key in METRICS}
    counts, checks, shipped = [], [], []
    cut_off = False
    for run in range(_runs(bench)):
        bench.say(f"database: the six metrics, run {run + 1}")
        counts.append(count(server, table))
        checks.append(_timed(lambda: monitor.check(lambda: server.connect(table.schema), table.watermarks)))
        shipped.append(
            _timed(
                lambda: monitor.check(lambda: server.connect(table.schema), table.watermarks, monitor.shipped)
            )
        )
        for key, seconds in monitor.seconds(server, table).items():
            ours[key].append(seconds)
        for key in METRICS:
            if key == OVERLAPS and run > 0 and bench.size is Size.FULL:
                continue
            if key == OVERLAPS:
                bench.say("database: the guide's overlap query")
            if run < 3:
                seconds, rows = database_guide.ask(server, table, key, bench.limit)
                guides[key].append(seconds)
                cut_off = cut_off or rows is None
    yield _milliseconds("count", "a bare count of the ids of seven days and today", counts)
    yield _milliseconds("check", "all six metrics, all companies and each, connection included", checks)
    for key in METRICS:
        yield _milliseconds(f"ours_{key}", f"{key}: ours", ours[key])
        yield _milliseconds(
            f"guide_{key}", f"{key}: the guide's query", guides[key], cut_off and key == OVERLAPS
        )
    guide = sum(median(guides[key]) for key in METRICS)
    yield Figure(
        PART,
        "speed_up",
        "all six metrics, faster than the guide's queries",
        guide / median(checks),
        "×",
        target=Target(300, "at least"),
        at_least=cut_off,
    )
    yield Figure(
        PART,
        "rates",
        "the three rates together, against the bare count",
        sum(median(ours[key]) for key in RATES) / median(counts),
        "×",
        target=Target(8, "at most"),
    )
    yield Figure(
        PART,
        "overlaps",
        "overlaps with the application's own indexes, against the bare count",
        median(ours[OVERLAPS]) / median(counts),
        "×",
        target=Target(100, "at most"),
    )
    yield _milliseconds(
        "check_shipped",
        "the same with everything that is shipped: the burn rates of both error budgets too",
        shipped,
    )
    yield _milliseconds(
        "first_check",
        "a check without any watermark (the first of an installation, a backfill)",
        [_timed(lambda: monitor.check(lambda: server.connect(table.schema), ()))],
    )


def count(server: Server, table: Table) -> float:
    """The seconds for counting the ids of seven days and today along the primary key."""
    start = _timeline(settings_module.load()).windows["7_days"].start
    with contextlib.closing(server.connect(table.schema)) as connection, connection.cursor() as cursor:
        return _timed(
            lambda: cursor.execute(
                "SELECT COUNT(*) FROM appointments FORCE INDEX (PRIMARY) WHERE id > %s",
                [table.highest(start)],
            )
        )


def _answers(server: Server, table: Table, monitor: _Monitor, bench: Bench) -> Iterator[Figure]:
    """Whether the guide's queries give what the monitor gives when it counts as they do; and where they are wrong."""
    bench.say("database: the guide's answers")
    collected = monitor.check(
        lambda: server.connect(table.schema), table.watermarks, monitor.counting_as_the_guide
    )
    different = database_guide.differences(server, table, collected, bench.limit)
    yield Figure(
        PART,
        "same_answers",
        "answers of the guide that differ from ours when we count as it does",
        len(different),
        "rows",
        target=Target(0, "at most"),
        note="; ".join(different),
    )
    _, distribution = database_guide.ask(server, table, "phase_distribution", bench.limit)
    _, overlaps = database_guide.ask(server, table, OVERLAPS, bench.limit)
    if distribution and overlaps is not None:
        yield Figure(
            PART,
            "guide_share",
            "the share that the guide prints for a third of today's phases",
            float(distribution[0][2]),
            "%",
            note="it divides by all phases ever",
        )
        once = next(s.value for s in collected.samples if (s.metric, s.company_id) == (OVERLAPS, 0))
        yield Figure(
            PART,
            "guide_overlaps",
            "what the guide counts for each overlapping booking",
            sum(int(row[1]) for row in overlaps) / (once or 1),
            "×",
            note="a booking counts once for each phase that it starts in",
        )


def _indexes(server: Server, table: Table, monitor: _Monitor, bench: Bench) -> Iterator[Figure]:
    """What each index that could be added buys, measured with it alone."""
    for name, columns in INDEXES.items():
        bench.say(f"database: an index on ({columns})")
        with _index(server, table, name) as size:
            yield Figure(PART, f"index_{name}_size", f"size of an index on ({columns})", size, "MiB")
            if name == "created":
                runs = [
                    _timed(lambda: monitor.check(lambda: server.connect(table.schema), ()))
                    for _ in range(_runs(bench))
                ]
                yield _milliseconds(
                    "first_check_created", f"a check without watermark, with ({columns})", runs
                )
            counts, overlaps = [], []
            for _ in range(_runs(bench)):
                counts.append(count(server, table))
                overlaps.append(monitor.seconds(server, table)[OVERLAPS])
            yield Figure(
                PART,
                f"overlaps_{name}",
                f"overlaps with an index on ({columns}), against the bare count",
                median(overlaps) / median(counts),
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


def _milliseconds(key: str, title: str, runs: Sequence[float], at_least: bool = False) -> Figure:
    own = tuple(1000 * run for run in runs)
    return Figure(PART, key, title, median(own), "ms", runs=own, at_least=at_least)
