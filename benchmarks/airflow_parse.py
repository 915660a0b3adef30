# SPDX-License-Identifier: MIT
"""`python -m benchmarks.airflow_parse RUNS FILE…`: what each DAG file takes to parse, as JSON by file: seconds, and MiB.

Each parse happens in a child that was forked from a process with Airflow in it, as Airflow's own DAG processor does: what
a file imports beyond Airflow, it imports at every parse.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable

from benchmarks import memory


def main() -> None:
    """Parse the files by turns."""
    # Here, so that no child does it.
    from airflow.dag_processing import dagbag  # noqa: F401

    runs, files = int(sys.argv[1]), sys.argv[2:]
    in_child(parse, files[0])  # the file system's cache, byte-code
    gc.freeze()
    seconds = defaultdict(list)
    for _ in range(runs):
        for file in files:
            seconds[file].append(in_child(parse, file))
    json.dump({"seconds": seconds, "mib": {file: in_child(size, file) for file in files}}, sys.stdout)


def parse(file: str) -> float:
    """The seconds of a parse."""
    from airflow.dag_processing.dagbag import DagBag

    start = time.perf_counter()
    bag = DagBag(file)
    seconds = time.perf_counter() - start
    if bag.import_errors or not bag.dags:
        raise RuntimeError(f"{file} does not load: {bag.import_errors}")
    return seconds


def size(file: str) -> float:
    """The MiB that a process has more, at the most, for a parse."""
    before = memory.begin()
    parse(file)
    return memory.peak(before)


def in_child(measure: Callable[[str], float], file: str) -> float:
    """What `measure` gives in a forked child."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, repr(measure(file)).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    if not said:
        raise SystemExit(f"{file} cannot be parsed: see above")
    return float(said)


if __name__ == "__main__":
    main()
