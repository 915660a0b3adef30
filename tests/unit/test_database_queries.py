# SPDX-License-Identifier: MIT
"""SQL files: what they need, what is filled in and bound, and that every shipped one can be built."""

from __future__ import annotations

import pytest

from processing_time.settings import SQL
from processing_time.sources.queries import Query, bind, read
from processing_time.sources.snapshot import QueryFault

SHIPPED = sorted(
    str(p.relative_to(SQL)) for folder in ("metrics", "context") for p in (SQL / folder).glob("*.sql")
)


def test_needs_name_tables_and_columns_with_settings_filled_in() -> None:
    query = Query(
        "metrics/x.sql",
        "-- What: x\n-- needs appointments: id, {{ column }}\n-- needs services: id\n\nSELECT 1",
    )
    assert query.needs({"column": "`sync_status`"}) == [
        ("appointments", ["id", "sync_status"]),
        ("services", ["id"]),
    ]
    assert query.tables == {"appointments", "services"}


def test_the_header_is_not_sent() -> None:
    query = Query("metrics/x.sql", "-- 100 % of them\nSELECT 1\n  -- really\nFROM t AS a;\n")
    assert query.statement({}) == "SELECT 1\nFROM t AS a"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("SELECT {{ other }}", "uses {{ other }}, which does not exist"),
        ("SELECT {{ other", "is not a valid template"),
        ("SELECT 3 % 2", "holds a % that is no %(parameter)s"),
        ("SELECT '%s'", "holds a %"),
    ],
)
def test_faults_name_the_file(text: str, sentence: str) -> None:
    with pytest.raises(QueryFault) as fault:
        Query("metrics/x.sql", text).statement({})
    assert sentence in str(fault.value)
    assert "include/sql/metrics/x.sql" in str(fault.value)


def test_only_what_is_named_is_bound_and_lists_are_spread() -> None:
    values = {"ids": (7, "b"), "none": [], "at": 3, "unused": 9}
    sql, bound = bind(
        "SELECT 1 WHERE a IN %(ids)s AND b IN %(none)s AND c = %(at)s AND d = %(at)s", values, "x.sql"
    )
    assert sql == "SELECT 1 WHERE a IN (%(ids_0)s, %(ids_1)s) AND b IN (NULL) AND c = %(at)s AND d = %(at)s"
    assert bound == {"ids_0": 7, "ids_1": "b", "at": 3}


def test_a_parameter_that_does_not_exist_is_refused() -> None:
    with pytest.raises(QueryFault, match=r"include/sql/metrics/x.sql binds %\(nobody\)s"):
        bind("SELECT %(nobody)s", {}, "metrics/x.sql")


@pytest.mark.parametrize("path", SHIPPED)
def test_every_shipped_file(path: str) -> None:
    text = (SQL / path).read_text(encoding="utf-8")
    assert text.startswith("-- SPDX-License-Identifier: MIT\n-- ")
    query = read(path)
    statement = query.statement({name: name for name in query.names}).upper()
    assert statement.startswith("SELECT")
    for word in (
        "NOW(",
        "CURDATE(",
        "CURRENT_TIMESTAMP",
        "SYSDATE",
        " DATE(",
        "CONVERT_TZ",
        "TEMPORARY",
        ";",
    ):
        assert word not in statement
    if path.startswith("metrics/"):
        for part in ("-- What: ", "-- Unit: ", "Window: ", "-- Owner: ", "-- needs appointments: "):
            assert part in text


def test_there_is_something_to_check() -> None:
    assert {"metrics/phase_creation_success_rate.sql", "context/services.sql"} <= set(SHIPPED)
