# SPDX-License-Identifier: MIT
"""What a login may do, read from the rows of SHOW GRANTS as MariaDB 10.11 and MySQL 8 print them."""

from __future__ import annotations

import pytest

from processing_time.grants import ALL, parse

USAGE = "GRANT USAGE ON *.* TO `pt`@`%` IDENTIFIED BY PASSWORD '*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19'"


@pytest.mark.parametrize(
    ("rows", "beyond"),
    [
        pytest.param([USAGE, "GRANT SELECT ON `app`.* TO `pt`@`%`"], [], id="reads the schema"),
        pytest.param([USAGE, "GRANT SELECT ON `app`.`services` TO `pt`@`%`"], [], id="reads a table"),
        pytest.param(["GRANT SELECT (`id`, `name`) ON `app`.`services` TO `pt`@`%`"], [], id="reads columns"),
        pytest.param(["GRANT SELECT, INSERT ON `app`.* TO `pt`@`%`"], ["INSERT"], id="writes the schema"),
        pytest.param(
            ["GRANT UPDATE (`a`, `b`), DELETE ON `app`.`services` TO `pt`@`%`"],
            ["DELETE", "UPDATE"],
            id="writes a table",
        ),
        pytest.param(
            ["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION"], [ALL], id="everything"
        ),
        pytest.param(["GRANT ALL PRIVILEGES ON `monitor`.* TO `pt`@`%`"], [], id="another schema"),
        pytest.param(
            [r"GRANT INSERT ON `ap\_`.* TO `pt`@`%`"], [], id="an escaped underscore is no wildcard"
        ),
        pytest.param(["GRANT INSERT ON `ap_`.* TO `pt`@`%`"], ["INSERT"], id="an underscore is a wildcard"),
        pytest.param(["GRANT INSERT ON `a%`.* TO `pt`@`%`"], ["INSERT"], id="a percent sign is a wildcard"),
        pytest.param(["GRANT INSERT ON `a[p]p`.* TO `pt`@`%`"], [], id="brackets are none"),
        pytest.param(
            ["GRANT BACKUP_ADMIN,CLONE_ADMIN ON *.* TO `pt`@`%`"],
            ["BACKUP_ADMIN", "CLONE_ADMIN"],
            id="dynamic",
        ),
        pytest.param(["GRANT `writers`@`%` TO `pt`@`%`"], ["role writers@%"], id="a role may be more"),
        pytest.param(["SET DEFAULT ROLE `writers` FOR `pt`@`%`"], [], id="not a grant"),
        pytest.param(["GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION"], [], id="proxy"),
    ],
)
def test_what_a_login_may_do_besides_reading(rows, beyond):
    assert parse(rows).beyond((), "app") == beyond


@pytest.mark.parametrize(
    ("rows", "missing"),
    [
        pytest.param(["GRANT ALL PRIVILEGES ON `app`.* TO `pt`@`%`"], [], id="all"),
        pytest.param(["GRANT SELECT ON `app`.* TO `pt`@`%`"], ["INSERT", "DELETE"], id="reads only"),
        pytest.param(
            ["GRANT SELECT ON `app`.* TO `pt`@`%`", "GRANT INSERT, DELETE ON `app`.`phases` TO `pt`@`%`"],
            [],
            id="from two rows",
        ),
        pytest.param(
            ["GRANT ALL PRIVILEGES ON `app`.`services` TO `pt`@`%`"],
            ["SELECT", "INSERT", "DELETE"],
            id="elsewhere",
        ),
        pytest.param(["GRANT `writers` TO `pt`@`%`"], [], id="a role may grant it"),
    ],
)
def test_what_a_login_lacks(rows, missing):
    assert parse(rows).missing(("SELECT", "INSERT", "DELETE"), "app", "phases") == missing
