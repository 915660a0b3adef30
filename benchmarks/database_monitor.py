# SPDX-License-Identifier: MIT
"""The monitor as it is shipped, looking at one table of the benchmark, whole or a metric alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from benchmarks.database_data import AS_OF, Server, Table
from benchmarks.database_guide import METRICS
from processing_time import settings as settings_module
from processing_time.model import Collected
from processing_time.settings import Settings
from processing_time.sources import database, queries
from processing_time.sources.boundaries import Watermark
from processing_time.sources.feature_flags import FeatureFlags
from processing_time.sources.snapshot import snapshot
from processing_time.timeline import Timeline


class Monitor:
    """Checks of one table; all services may use the feature."""

    def __init__(self, server: Server, table: Table) -> None:
        self.server, self.table = server, table
        shipped = settings_module.load()
        application = shipped.application.model_copy(
            update={"sync_status_column": "calcom_sync_status", "error_values": ("failed",)}
        )
        self.shipped = shipped.model_copy(update={"application": application})
        """Every metric of the database, those of the error budgets too."""
        self.six = self._changed(metrics={key: self.shipped.metrics[key] for key in METRICS})
        """The metrics that the guide has."""

    @property
    def as_the_guide(self) -> Settings:
        """The six, counted as the guide counts: deleted rows too, no grace, orphans of today."""
        application = self.shipped.application.model_copy(
            update={"soft_deletes": False, "grace": timedelta(0)}
        )
        orphans = self.shipped.metrics["orphaned_appointments"].model_copy(update={"window": "today"})
        return self._changed(
            application=application, metrics={**self.six.metrics, "orphaned_appointments": orphans}
        )

    def connect(self) -> Any:
        """A connection as the monitor has."""
        return self.server.connect(self.table.schema)

    def check(
        self,
        settings: Settings | None = None,
        *,
        connect: Callable[[], Any] | None = None,
        watermarks: Sequence[Watermark] | None = None,
    ) -> Collected:
        """One check, from the connection to the samples; raises ValueError when anything could not be measured.

        :param settings: the six metrics unless others are given.
        :param watermarks: those of the last evenings unless others are given.
        """
        chosen = settings or self.six
        marks = self.table.watermarks if watermarks is None else watermarks
        timeline = self._timeline()
        collected = database.collect(connect or self.connect, chosen, timeline, FeatureFlags(), marks)
        if lost := [f"{s.metric}: {s.reason}" for s in collected.samples if s.loss]:
            raise ValueError(f"a metric of the benchmark could not be measured: {lost[0]}")
        return collected

    def seconds(self) -> dict[str, float]:
        """How long each of the six metrics takes, its boundary included, on one open snapshot."""
        took = {}
        timeline, limit = self._timeline(), self.six.schedule.statement_timeout
        chosen = {key: queries.read(f"metrics/{key}.sql") for key in METRICS}
        with snapshot(self.connect, limit) as opened:
            # A metric alone can only be had from inside of a check.
            scope = database._scope(opened, self.six, FeatureFlags(), chosen.values())
            for key, query in chosen.items():
                check = database._Check(opened, self.six, timeline, scope, self.table.watermarks)
                begun = time.perf_counter()
                check._measure(key, query, timeline.window(self.six.metrics[key]))
                took[key] = time.perf_counter() - begun
        return took

    def count(self) -> None:
        """Count the ids of seven days and today along the primary key: what any look at them costs at least."""
        below = self.table.highest(self._timeline().windows["7_days"].start)
        connection = self.connect()
        try:
            connection.cursor().execute(
                "SELECT COUNT(*) FROM appointments FORCE INDEX (PRIMARY) WHERE id > %s", [below]
            )
        finally:
            connection.close()

    def _changed(self, **changed: Any) -> Settings:
        return self.shipped.model_copy(update=changed)

    def _timeline(self) -> Timeline:
        zone = ZoneInfo(self.shipped.application.timezone)
        return Timeline(AS_OF, self.shipped.zone, zone, AS_OF)
