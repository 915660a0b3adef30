# SPDX-License-Identifier: MIT
"""prometheus-sql-exporter of Debian, asking the guide's queries: what a Prometheus stack would do instead."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from benchmarks.database_data import AS_OF, PASSWORD, READER, Server, Table, statements
from benchmarks.database_guide import GUIDE, OFFSET
from benchmarks.figures import Bench, Figure
from demo.processes import free_port

PROGRAM = "prometheus-sql-exporter"
_COLUMNS: Mapping[str, tuple[list[str], list[str]]] = {
    "phase_creation_success_rate": ([], ["success_rate_percent"]),
    "calcom_sync_success_rate": ([], ["success_rate"]),
    "phase_distribution": (["phase_type"], ["count"]),
    "orphaned_appointments": ([], ["orphans"]),
    "stale_phases": ([], ["aggregate"]),
    "overlapping_bookings": (["booking_date"], ["overlapping_appointments"]),
}
"""The labels and values of each query; the slowest comes last."""


def measure(server: Server, table: Table, bench: Bench) -> list[Figure]:
    """Seconds from its start until it has an answer to every query; nothing where it is not installed."""
    program = shutil.which(PROGRAM)
    if program is None:
        bench.say(f"{PROGRAM} is not installed")
        return []
    bench.say(PROGRAM)
    config = bench.work / "sql-exporter.yml"
    config.write_text(json.dumps(_config(server, table)), encoding="utf-8")
    address = f"127.0.0.1:{free_port()}"
    command = [program, f"-config.file={config}", f"-web.listen-address={address}"]
    begun = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as exporter:
        try:
            while not (done := _answered(address)) and time.monotonic() - begun < bench.limit:
                time.sleep(0.05)
        finally:
            exporter.terminate()
    took = time.monotonic() - begun
    return [Figure("database", "peer", f"{PROGRAM}, the guide's six queries", took, "s", at_least=not done)]


def _config(server: Server, table: Table) -> dict[str, Any]:
    session = f"time_zone={quote(repr(OFFSET))}&timestamp={AS_OF.timestamp():.0f}"
    queries = []
    for key, (labels, values) in _COLUMNS.items():
        (text,) = statements(GUIDE / f"{key}.sql")
        if key == "orphaned_appointments":
            text = f"SELECT COUNT(*) AS orphans FROM ({text}) AS t"
        queries.append({"name": key, "help": key, "labels": labels, "values": values, "query": text})
    connection = f"mysql://{READER}:{PASSWORD}@tcp(127.0.0.1:{server.port})/{table.schema}?{session}"
    return {"jobs": [{"name": "guide", "interval": "24h", "connections": [connection], "queries": queries}]}


def _answered(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/metrics", timeout=5) as page:
            told = page.read().decode()
    except (urllib.error.URLError, ConnectionError):
        return False
    return all(f"\nsql_{key}{{" in told for key in _COLUMNS)
