# SPDX-License-Identifier: MIT
"""`python -m benchmarks.airflow_parse RUNS FILE…`: the seconds that each DAG file takes to parse, as JSON by file.

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


def main() -> None:
    """Parse the files by turns."""
    from airflow.dag_processing.dagbag import DagBag

    def parse(file: str) -> float:
        start = time.perf_counter()
        bag = DagBag(file)
        seconds = time.perf_counter() - start
        if bag.import_errors or not bag.dags:
            raise RuntimeError(f"{file} does not load: {bag.import_errors}")
        return seconds

    runs, files = int(sys.argv[1]), sys.argv[2:]
    in_child(parse, files[0])  # the file system's cache, byte-code
    gc.freeze()
    seconds = defaultdict(list)
    for _ in range(runs):
        for file in files:
            seconds[file].append(in_child(parse, file))
    json.dump(seconds, sys.stdout)


def in_child(parse: Callable[[str], float], file: str) -> float:
    """What `parse` gives in a forked child."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, repr(parse(file)).encode())
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
