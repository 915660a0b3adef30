# SPDX-License-Identifier: MIT
"""The newest check in OpenMetrics text, for Prometheus. What could not be measured has a state and no value."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, StateSetMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from processing_time.model import Severity, State
from processing_time.page.overview import watched
from processing_time.page.status import status
from processing_time.page.words import unit
from processing_time.settings import Settings
from processing_time.store_page import Newest, PageStore
from processing_time.timeline import next_tick

__all__ = ["CONTENT_TYPE_LATEST", "expose"]


def expose(store: PageStore, settings: Settings, present: datetime) -> bytes:
    """What Prometheus is told.

    :param present: the present time, by which an overdue check is known.
    :raises StoreError: when the store cannot be used.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Check(store.newest(watched(settings)), settings, present))
    text: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    return text


class _Check(Collector):
    def __init__(self, newest: Newest, settings: Settings, present: datetime) -> None:
        self._newest, self._settings, self._present = newest, settings, present

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        newest, settings = self._newest, self._settings
        now = status(newest.check, newest.verdicts, settings, self._present)
        yield _states("processing_time_state", "How it is now; unknown while a check is overdue.", now.state)
        if newest.check is not None:
            due = next_tick(settings.schedule.health_check, settings.zone, newest.check.as_of)
            yield GaugeMetricFamily(
                "processing_time_check_as_of_timestamp_seconds",
                "The instant that the newest finished check speaks for.",
                newest.check.as_of.timestamp(),
                unit="seconds",
            )
            yield GaugeMetricFamily(
                "processing_time_check_due_timestamp_seconds",
                "When the next check is due.",
                due.timestamp(),
                unit="seconds",
            )
        yield GaugeMetricFamily(
            "processing_time_check_overdue",
            "1 while a check is overdue.",
            float(bool(now.overdue or newest.check is None)),
        )
        yield from self._metrics()
        yield from self._alerts()

    def _metrics(self) -> Iterator[Metric]:
        values = GaugeMetricFamily(
            "processing_time_value",
            "A metric or rule over all companies, in its unit.",
            labels=["metric", "of"],
        )
        states = StateSetMetricFamily(
            "processing_time_metric_state", "How a metric or rule is judged.", labels=["metric"]
        )
        found = {v.metric: v for v in self._newest.verdicts}
        for key in watched(self._settings) if self._newest.check else ():
            verdict = found.get(key)
            state = verdict.state if verdict else State.UNKNOWN
            states.add_metric([key], {str(s): s is state for s in State})
            if verdict and verdict.sample.value is not None:
                values.add_metric([key, unit(key, self._settings)], verdict.sample.value)
        yield values
        yield states

    def _alerts(self) -> Iterator[Metric]:
        open_ = GaugeMetricFamily(
            "processing_time_alerts_open", "Open alerts by severity.", labels=["severity"]
        )
        for severity in Severity:
            open_.add_metric([str(severity)], self._newest.severities.get(severity, 0))
        yield open_
        yield GaugeMetricFamily(
            "processing_time_messages_owed", "Messages that Slack has not taken yet.", self._newest.owed
        )


def _states(name: str, about: str, state: State) -> StateSetMetricFamily:
    return StateSetMetricFamily(name, about, {str(s): s is state for s in State})
