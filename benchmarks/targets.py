# SPDX-License-Identifier: MIT
"""What many application installations cost one Airflow: parsing the DAG files, and the check of each of them."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.airflow_scheduler import HEALTH_CHECK, PROJECT, environment
from benchmarks.figures import Bench, Figure, Size, Target
from benchmarks.timing import middle
from demo.application import Application
from demo.services import MariaDB, Redis
from demo.slack import CHANNELS, ON_CALL_GROUP, StandInSlack
from demo.traffic import Plan, generate
from demo.whole_airflow import Api, standalone, until

PART = "targets"
MANY = {Size.SMALL: 3, Size.FULL: 200}
PARSES = {Size.SMALL: 1, Size.FULL: 5}
CHECKS = {Size.SMALL: 2, Size.FULL: 7}
ROUNDS = {Size.SMALL: 1, Size.FULL: 3}
AS_OF = datetime(2026, 6, 10, 12, tzinfo=UTC)
_OWN_CONNECTIONS = ("MYSQL", "MYSQL_WRITE", "REDIS", "STORE")


def measure(bench: Bench) -> list[Figure]:
    """With one target and with many: parses, a task's parse, checks on small stand-in sources."""
    work = bench.work / PART
    (work / "home").mkdir(parents=True, exist_ok=True)
    one, many = (_settings(work, count) for count in (1, MANY[bench.size]))
    return [*_parses(bench, one, many), *_checks(bench, one, many)]


def names(count: int) -> list[str]:
    """What the targets are called."""
    return [f"t{number:03}" for number in range(1, count + 1)]


def _settings(work: Path, count: int) -> Path:
    """A settings file with so many targets: each with its own log and channels, as a real one has."""
    own = {
        "application": {"logs": [f"{work}/application/storage/logs/*.log"]},
        "slack": {"channels": CHANNELS},
    }
    targets = dict.fromkeys(names(count), own)
    file = work / f"{count}.yaml"
    # JSON is YAML.
    file.write_text(json.dumps({"targets": targets}, indent=1), encoding="utf-8")
    return file


def _parses(bench: Bench, one: Path, many: Path) -> Iterator[Figure]:
    count = MANY[bench.size]
    files = sorted((PROJECT / "dags").glob("*.py"))
    bench.say(f"parsing {len(files)} DAG files for 1 and {count} targets, and for one task of {count}")
    home = environment(bench.work / PART / "home")
    task = {
        "_AIRFLOW_PARSING_CONTEXT_DAG_ID": f"{HEALTH_CHECK}__{names(count)[-1]}",
        "_AIRFLOW_PARSING_CONTEXT_TASK_ID": "evaluate",
    }
    health = PROJECT / "dags" / f"{HEALTH_CHECK}.py"
    sides: dict[str, tuple[dict[str, str], list[Path]]] = {
        "one": ({"PROCESSING_TIME_CONFIG": str(one)}, files),
        "many": ({"PROCESSING_TIME_CONFIG": str(many)}, files),
        "task": ({"PROCESSING_TIME_CONFIG": str(many), **task}, [health]),
    }
    runs: dict[tuple[str, str], list[float]] = {}
    mib: dict[tuple[str, str], float] = {}
    for _ in range(ROUNDS[bench.size]):
        for side, (variables, read) in sides.items():
            found = _parsed({**home, **variables}, PARSES[bench.size], read)
            for file, seconds in found["seconds"].items():
                runs.setdefault((side, Path(file).stem), []).extend(seconds)
            mib |= {(side, Path(file).stem): size for file, size in found["mib"].items()}
    for file in files:
        few, all_of_them = (runs[side, file.stem] for side in ("one", "many"))
        yield middle(PART, f"parse_1_{file.stem}", f"parse of {file.name} for 1 target", "ms", _milli(few))
        yield middle(
            PART,
            f"parse_{count}_{file.stem}",
            f"parse of {file.name} for {count} targets",
            "ms",
            _milli(all_of_them),
            note=f"{mib['many', file.stem] - mib['one', file.stem]:.1f} MiB more",
        )
    of_one, of_many, of_task = (runs[side, HEALTH_CHECK] for side in sides)
    yield Figure(
        PART,
        "parse_each",
        f"parse of {health.name}: what each of {count} targets takes",
        1000 * (median(of_many) - median(of_one)) / (count - 1),
        "ms",
        target=Target(10, "at most"),
    )
    yield Figure(
        PART,
        "parse_memory",
        f"memory of that parse for {count} targets: more than for 1",
        mib["many", HEALTH_CHECK] - mib["one", HEALTH_CHECK],
        "MiB",
        target=Target(64, "at most"),
    )
    yield middle(PART, "parse_task_all", f"parse for one task of {count} targets", "ms", _milli(of_task))
    yield Figure(
        PART,
        "parse_task",
        f"parse for one task of {count} targets: more than of 1",
        1000 * (median(of_task) - median(of_one)),
        "ms",
        target=Target(50, "at most"),
    )


def _parsed(variables: Mapping[str, str], runs: int, files: list[Path]) -> Any:
    finished = subprocess.run(
        [sys.executable, "-m", "benchmarks.airflow_parse", str(runs), *files],
        env=dict(variables),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(finished.stdout.splitlines()[-1])


def _checks(bench: Bench, one: Path, many: Path) -> Iterator[Figure]:
    """One after the other: an Airflow with one target, and one with all of them, of which some are checked."""
    count, few = MANY[bench.size], names(CHECKS[bench.size])
    work = bench.work / PART
    with MariaDB(work) as mariadb, Redis(work) as redis, StandInSlack(work) as slack:
        application = Application(mariadb, redis, work / "application")
        application.build(generate(Plan(AS_OF, days=3, requests_a_day=60)))
        common = application.environment(slack.connection(), slack.channels, ON_CALL_GROUP)
        variables = {**environment(work / "home"), **common, **_connections(mariadb, common, few)}
        variables["AIRFLOW__CORE__DAGS_FOLDER"] = str(PROJECT / "dags")
        bench.say("checks in an Airflow with LocalExecutor and 1 target")
        with _airflow(work / "one", variables, one, few[:1]) as api:
            alone = [_seconds(api, few[:1]) for _ in few]
        bench.say(f"checks in an Airflow with LocalExecutor and {count} targets")
        with _airflow(work / "many", variables, many, few) as api:
            among = [_seconds(api, [target]) for target in few]
            at_once = _seconds(api, few)
    yield middle(PART, "check_1", "a check in an Airflow with 1 target", "s", tuple(alone))
    yield middle(PART, f"check_{count}", f"a check in an Airflow with {count} targets", "s", tuple(among))
    yield Figure(
        PART,
        "check",
        f"a check in an Airflow with {count} targets, against one with 1",
        median(among) / median(alone),
        "×",
        target=Target(1.5, "at most"),
    )
    yield Figure(
        PART,
        "check_at_once",
        f"a check, when {len(few)} of {count} targets are checked at once",
        at_once / len(few),
        "s",
        note="four tasks at a time; as many times as there are targets, it has to fit into the hour",
    )


@contextmanager
def _airflow(
    directory: Path, variables: Mapping[str, str], settings: Path, checked: list[str]
) -> Iterator[Api]:
    """An Airflow in which each target has been checked before: the first check makes the tables of its store."""
    with standalone(directory, {**variables, "PROCESSING_TIME_CONFIG": str(settings)}) as url:
        api = Api(url)
        until(lambda: api.known(*(f"{HEALTH_CHECK}__{target}" for target in checked)), "the DAGs are there")
        _seconds(api, checked)
        yield api


def _seconds(api: Api, targets: list[str]) -> float:
    """From the trigger of the targets' checks until all have ended; raises RuntimeError when one broke."""
    start = time.perf_counter()
    runs = {f"{HEALTH_CHECK}__{target}": "" for target in targets}
    for dag in runs:
        runs[dag] = api.trigger(dag, as_of=AS_OF.isoformat())
    for dag, run in runs.items():
        broken = [task for task, state in api.finished(dag, run).items() if state == "failed"]
        if set(broken) - {"verdict", "run"}:
            raise RuntimeError(f"of {dag}, these failed: {broken}")
    return time.perf_counter() - start


def _connections(mariadb: MariaDB, common: Mapping[str, str], targets: list[str]) -> dict[str, str]:
    """The connections of targets that all watch one application, each with a schema for its store."""
    found = {}
    with contextlib.closing(mariadb.root()) as root, root.cursor() as cursor:
        for target in targets:
            schema = f"processing_time_monitor_{target}"
            cursor.execute(f"DROP DATABASE IF EXISTS {schema}")
            cursor.execute(f"CREATE DATABASE {schema} CHARACTER SET utf8mb4")
            cursor.execute(f"GRANT ALL PRIVILEGES ON {schema}.* TO pt_store@'%'")
            for kind in _OWN_CONNECTIONS:
                name = f"AIRFLOW_CONN_PROCESSING_TIME_{kind}"
                uri = common[name].replace("/processing_time_monitor?", f"/{schema}?")
                found[f"{name}__{target.upper()}"] = uri
    return found


def _milli(seconds: list[float]) -> tuple[float, ...]:
    return tuple(1000 * s for s in seconds)
