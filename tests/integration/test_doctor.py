# SPDX-License-Identifier: MIT
"""The doctor on a good installation and on broken ones: a real MariaDB and Redis, real files, the stand-in Slack."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from demo.account import Account, World
from demo.application import PASSWORDS, Application
from demo.slack import STRANGE_CHANNELS
from demo.traffic import Plan, generate
from processing_time import doctor, store_session
from processing_time.settings import load_each

#: A Tuesday, 14:00 in Berlin.
PRESENT = datetime(2026, 11, 17, 13, 0, 20, tzinfo=UTC)
MYSQL, STORE, SLACK = "processing_time_mysql", "processing_time_store", "processing_time_slack"
REDIS, WRITE = "processing_time_redis", "processing_time_mysql_write"
NEWEST = len(list(store_session.MIGRATIONS.glob("*.sql")))

Install = Callable[..., Account]


@pytest.fixture
def install(application: Application, watch: Callable[[Application], None]) -> Install:
    """Make an application up to the present and point everything at it."""

    def make(world: World = "guide") -> Account:
        account = generate(Plan(PRESENT, days=3, world=world, requests_a_day=90))
        application.build(account)
        watch(application)
        return account

    return make


@pytest.fixture
def root(mariadb) -> Iterator[Callable[[str], None]]:
    """Execute a statement as the administrator."""
    with contextlib.closing(mariadb.root()) as connection, connection.cursor() as cursor:
        yield cursor.execute


def found(*, send: bool = False) -> list[str]:
    return [str(line) for line in doctor.examine(PRESENT, send_test_message=send)]


def about(what: str, *, send: bool = False) -> list[str]:
    """The lines about one thing, without its name."""
    lines = doctor.examine(PRESENT, send_test_message=send)
    return [f"{line.mark} {line.text}" for line in lines if line.what == what]


def server(mariadb) -> str:
    with contextlib.closing(mariadb.root()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT VERSION()")
        number, _, kind = cursor.fetchone()[0].partition("-")
    return f"{'MariaDB' if kind.startswith('MariaDB') else 'MySQL'} {number}"


def traffic(account: Account) -> int:
    """The eligible appointments of two days, counted from the account of what was made."""
    start = PRESENT.replace(second=0) - timedelta(days=2) + timedelta(seconds=20)
    return sum(
        1
        for a in account.appointments
        if not a.deleted and account.flags.allow(a.service) and start <= a.created_at < PRESENT
    )


# --- good ones ----------------------------------------------------------------------------------------------


def test_everything_works(install, application, mariadb):
    account = install()
    version, newest = server(mariadb), max(record.at for record in account.records)
    assert found() == [
        "ok    settings                    11 metrics and 4 log rules are on; 9 variables are set",
        (
            "ok    application.env_file        master toggle ENABLED, service whitelist EMPTY,"
            " company whitelist EMPTY (all allowed), auto phases ENABLED"
        ),
        f"ok    processing_time_mysql       {version}, SELECT only, {traffic(account)} eligible appointments in 2 d",
        f"ok    application.logs            files: 1, newest record {(PRESENT - newest).seconds // 60} min ago",
        f"note  application.logs            {application.logs}/calcom*.log* matches no file",
        f"ok    processing_time_redis       {application.warm_cache(account)} keys match *week_availability:*:pt_*",
        f"ok    processing_time_store       {version}, schema processing_time_monitor, migrated to version {NEWEST}",
        "ok    processing_time_slack       the token works, as processing_time in Stand-in",
        "ok    slack.channels.info         #booking-info",
        "ok    slack.channels.medium       #booking-warnings",
        "ok    slack.channels.high         #booking-alerts",
        "ok    slack.channels.critical     #booking-critical",
        "ok    slack.channels.reports      #booking-reports",
        "ok    slack.on_call               <!subteam^S0ONCALL001>, a group (whether it exists is not asked)",
        f"ok    processing_time_mysql_write {version}, may repair booking.appointment_phases",
        "note  processing_time_laravel     is not defined; it is optional",
        "note  processing_time_calcom      is not defined; it is optional",
    ]


def test_what_a_deployment_cannot_give_is_noted(install):
    install("deployed")
    lines = [line for line in found() if line.startswith(("note  metrics", "note  log_rules", "fix"))]
    assert [line.split()[1] for line in lines] == [
        "metrics.phase_creation_time",
        "metrics.availability_cache_hit_rate",
        "log_rules.cache_miss_spike",
    ]
    assert "would be unknown: the log's lines carry no number" in lines[0]


def test_the_store_is_migrated_and_nothing_else_is_written(install, application, root):
    install()
    before = _contents(application.connect())
    found()
    assert _contents(application.connect()) == before
    root(f"SELECT COUNT(*) FROM {application.store}.checks")


def test_a_test_message_goes_once_to_each_channel(install, slack, monkeypatch):
    install()
    monkeypatch.setenv("PROCESSING_TIME__SLACK__CHANNELS__CRITICAL", slack.channels["high"])
    assert about("slack.channels.high", send=True) == ["ok #booking-alerts", "ok the test message was sent"]
    assert sorted(message["channel"] for message in slack.messages()) == sorted(
        slack.channels[name] for name in ("info", "medium", "high", "reports")
    )


def test_no_message_is_sent_unasked(install, slack):
    install()
    found()
    assert slack.messages() == []


# --- settings, flags, log -------------------------------------------------------------------------------------


def test_settings_that_cannot_be_used_are_all_that_is_said(install, monkeypatch):
    install()
    monkeypatch.setenv("PROCESSING_TIME__TIMEZONE", "Europe/Berln")
    assert found() == [
        "fix   settings                    timezone = 'Europe/Berln' is not a known time zone: did you mean Europe/Berlin?"
    ]


def test_flags_that_cannot_be_read_cost_the_metrics_that_need_them(install, application):
    install()
    application.env_file.unlink()
    lines = found()
    sentence = (
        f"application.env_file = {application.env_file} cannot be read (No such file or directory): mount the"
        " application's .env there, readable for Airflow, or set it to null"
    )
    assert f"fix   application.env_file        {sentence}" in lines
    lost = [line.split()[1] for line in lines if line.startswith("fix   metrics.")]
    assert lost == [
        "metrics.phase_creation_success_rate",
        "metrics.phase_creation_burn_rate",
        "metrics.calcom_sync_success_rate",
        "metrics.calcom_sync_burn_rate",
        "metrics.phase_distribution",
        "metrics.orphaned_appointments",
    ]


def test_no_log(install, application):
    install()
    application.remove_logs()
    (line,) = about("application.logs")
    assert line.startswith("fix application.logs matches no file (")


def test_logs_of_hosts_are_read_elsewhere(install, application, monkeypatch):
    install()
    application.remove_logs()
    monkeypatch.setenv("PROCESSING_TIME__APPLICATION__LOG_HOSTS", '{"web1": {"queue": "first"}}')
    assert about("application.log_hosts.web1") == [
        "note not read here, but by the workers of the queue first: see the task read_log.web1"
    ]
    assert not [line for line in found() if line.startswith("fix")]


@pytest.mark.parametrize(
    ("host", "port", "schema", "shared"),
    [
        ("db.example.com", ":3306", "monitor", True),
        ("DB.example.com", "", "monitor", True),
        ("db.example.com", ":3307", "monitor", False),
        ("db2.example.com", "", "monitor", False),
        ("db.example.com", "", "monitor_hamburg", False),
    ],
)
def test_two_targets_with_one_store(monkeypatch, host, port, schema, shared):
    """However its address is written: their alerts would be one heap."""
    monkeypatch.setenv("PROCESSING_TIME__TARGETS", '{"berlin": {}, "hamburg": {}}')
    monkeypatch.setenv(
        "AIRFLOW_CONN_PROCESSING_TIME_STORE__BERLIN", "mysql://u:p@db.example.com:3306/monitor"
    )
    monkeypatch.setenv(
        "AIRFLOW_CONN_PROCESSING_TIME_STORE__HAMBURG", f"mysql://v:q@{host}{port}/{schema}?charset=utf8mb4"
    )
    said = [str(line) for line in doctor._shared_stores(list(load_each()))]
    fix = "fix   processing_time_store__hamburg leads to the schema of berlin, too: give each target a schema of its own"
    assert said == ([fix] if shared else [])


def test_a_silent_log_is_told_by_rule(install, application):
    account = install()
    application.write_logs([r for r in account.records if r.happening == "noise"])
    lines = [line for line in found() if "AppointmentPhaseObserver" in line]
    assert [line.split()[:2] for line in lines] == [
        ["note", "metrics.phase_creation_time"],
        ["note", "log_rules.phase_creation_failures"],
    ]


# --- the application's database -----------------------------------------------------------------------------


def test_a_missing_column_names_the_metric_and_the_setting(install, root):
    install()
    root("ALTER TABLE booking.appointments RENAME COLUMN sync_status TO calcom_sync_status")
    (line,) = about("metrics.calcom_sync_success_rate")
    assert line.startswith("fix would be unknown: ")
    assert "application.sync_status_column" in line
    assert about("metrics.phase_creation_success_rate") == []


def test_a_login_that_may_write_is_noted(install, root):
    install()
    root("GRANT INSERT, UPDATE ON booking.* TO pt_monitor@'%'")
    first, second = about(MYSQL)
    assert "more than SELECT" in first
    assert second == "note its login has INSERT, UPDATE on booking: grant it SELECT only"


def test_a_wrong_password_is_not_repeated(install, mariadb, monkeypatch):
    install()
    monkeypatch.setenv(
        "AIRFLOW_CONN_PROCESSING_TIME_MYSQL", mariadb.uri("pt_monitor", "wr0ng-secret", "booking")
    )
    lines = found()
    assert [line for line in lines if MYSQL in line.split()] == [
        (
            "fix   processing_time_mysql       the application's database refuses access (error 1045): check login,"
            " password, schema and grants of the connection processing_time_mysql"
        )
    ]
    assert not any("wr0ng-secret" in line for line in lines)


def test_a_login_that_cannot_repair(install, root):
    install()
    root("REVOKE DELETE ON booking.appointment_phases FROM pt_monitor_write@'%'")
    assert about(WRITE) == ["fix its login lacks DELETE ON booking.appointment_phases: grant it"]


def test_a_login_that_may_repair_more_than_phases(install, mariadb, root):
    install()
    root("GRANT DELETE, UPDATE ON booking.services TO pt_monitor_write@'%'")
    assert about(WRITE) == [
        f"ok {server(mariadb)}, may repair booking.appointment_phases",
        "note its login has UPDATE on booking: INSERT and DELETE will do",
    ]


def test_the_writing_connection_is_called_by_its_own_name(install, mariadb, monkeypatch):
    install()
    monkeypatch.setenv(
        "AIRFLOW_CONN_PROCESSING_TIME_MYSQL_WRITE", mariadb.uri("pt_monitor_write", "no", "booking")
    )
    (line,) = about(WRITE)
    assert line.endswith("grants of the connection processing_time_mysql_write")


# --- the store ----------------------------------------------------------------------------------------------


def test_without_a_database_the_two_statements_are_told(install, root):
    install()
    root("DROP DATABASE processing_time_monitor")
    (line,) = about(STORE)
    assert line.startswith("fix ")
    assert "CREATE DATABASE processing_time_monitor" in line
    assert "GRANT ALL ON processing_time_monitor.* TO" in line


def test_a_store_that_is_the_applications_database_is_left_alone(
    install, application, mariadb, monkeypatch, root
):
    install()
    root("GRANT ALL ON booking.* TO pt_store@'%'")
    uri = mariadb.uri("pt_store", PASSWORDS["pt_store"], "booking")
    monkeypatch.setenv("AIRFLOW_CONN_PROCESSING_TIME_STORE", uri)
    before = _contents(application.connect())
    assert about(STORE) == [
        "fix it leads into the application's own database: name the schema processing_time_monitor"
    ]
    assert _contents(application.connect()) == before


def test_a_store_that_may_not_be_written(install, root):
    install()
    found()
    root("REVOKE ALL PRIVILEGES ON processing_time_monitor.* FROM pt_store@'%'")
    root("GRANT SELECT, INSERT ON processing_time_monitor.* TO pt_store@'%'")
    assert about(STORE) == [
        (
            "fix its login lacks UPDATE, DELETE, CREATE, ALTER, INDEX on processing_time_monitor:"
            " GRANT ALL ON processing_time_monitor.* TO it"
        )
    ]


# --- Redis --------------------------------------------------------------------------------------------------


def test_keys_without_the_last_part_are_found(install, application):
    account = install()
    application._world = "deployed"
    account.world = "deployed"
    application.warm_cache(account)
    assert about(REDIS) == [
        (
            "fix no key matches *week_availability:*:pt_*, but keys match *week_availability:*:"
            ' set application.cache_key_pattern: "*week_availability:*"'
        )
    ]


def test_keys_in_another_database_are_found(install, redis_server, monkeypatch):
    install()
    monkeypatch.setenv("AIRFLOW_CONN_PROCESSING_TIME_REDIS", redis_server.uri(3))
    assert about(REDIS) == [
        (
            "fix no key matches *week_availability:*:pt_*, but keys match *week_availability:*:pt_* in database 1:"
            " end the connection's address with /1"
        )
    ]


@pytest.mark.parametrize(
    ("end", "line"),
    [
        ("/1", "ok "),
        ("/?db=1", "ok "),
        ("", "fix no key matches"),
        ("/cache", "fix processing_time_redis ends with /cache, which is no number of a database"),
    ],
)
def test_the_database_is_the_end_of_the_address(install, redis_server, monkeypatch, end, line):
    install()
    monkeypatch.setenv("AIRFLOW_CONN_PROCESSING_TIME_REDIS", f"redis://127.0.0.1:{redis_server.port}{end}")
    (told,) = about(REDIS)
    assert told.startswith(line)


def test_no_key_at_this_moment_is_no_fault(install, redis_server):
    install()
    redis_server.client(1).flushall()
    assert about(REDIS) == [
        "note reachable; no key matches *week_availability:*:pt_* now, they live for a minute"
    ]


def test_no_redis(install, monkeypatch):
    install()
    monkeypatch.setenv(
        "AIRFLOW_CONN_PROCESSING_TIME_REDIS", f"redis://:very-secret@127.0.0.1:{_closed_port()}/1"
    )
    lines = [line for line in found() if REDIS in line.split()]
    assert len(lines) == 1
    assert lines[0].startswith("fix   processing_time_redis       Redis cannot be read")
    assert "very-secret" not in lines[0]


# --- Slack --------------------------------------------------------------------------------------------------


def test_a_token_that_is_refused(install, slack, monkeypatch):
    install()
    connection = json.loads(slack.connection()) | {"password": "xoxb-revoked-secret"}
    monkeypatch.setenv("AIRFLOW_CONN_PROCESSING_TIME_SLACK", json.dumps(connection))
    assert about(SLACK) == ["fix Slack refuses the token (invalid_auth): put the app's bot token into it"]


def test_scopes_that_are_missing(install, slack):
    install()
    slack.update(
        tokens={slack.token: {"scopes": ["chat:write", "channels:read", "groups:read", "files:write"]}}
    )
    assert about(SLACK) == [
        "ok the token works, as processing_time in Stand-in",
        (
            "fix scopes are missing: channels:history (to look for a message whose answer was lost), groups:history"
            " (to the same in private channels), reactions:read (to be acknowledged by 👀), users:read (to tell people"
            " from bots): add them to the app, install it again"
        ),
    ]


@pytest.mark.parametrize(
    ("channel", "line"),
    [
        (STRANGE_CHANNELS["uninvited"], "fix the bot is not a member of #random: /invite it there"),
        (STRANGE_CHANNELS["archived"], "fix #old-alerts is archived: name another channel"),
        (
            STRANGE_CHANNELS["secret"],
            "fix there is no channel G0SECRET001: correct the id; invite the bot if it is private",
        ),
        (
            "C0NOWHERE01",
            "fix there is no channel C0NOWHERE01: correct the id; invite the bot if it is private",
        ),
    ],
)
def test_channels_that_cannot_be_used(install, monkeypatch, channel, line):
    install()
    monkeypatch.setenv("PROCESSING_TIME__SLACK__CHANNELS__HIGH", channel)
    assert about("slack.channels.high") == [line]


def test_channels_that_are_not_set(install, slack, monkeypatch):
    install()
    monkeypatch.delenv("PROCESSING_TIME__SLACK__CHANNELS__MEDIUM")
    assert about("slack.channels.medium") == [f"note is not set: messages go to {slack.channels['high']}"]
    for name in slack.channels:
        monkeypatch.delenv(f"PROCESSING_TIME__SLACK__CHANNELS__{name.upper()}", raising=False)
    assert about("slack.channels") == [
        "fix no channel is set: nobody would be told; set at least one channel id"
    ]


def test_people(install, monkeypatch):
    install()
    monkeypatch.setenv("PROCESSING_TIME__SLACK__ON_CALL", "<@U0DEPLOY001>")
    monkeypatch.setenv("PROCESSING_TIME__SLACK__ACKNOWLEDGERS", '["U0ANNA00001", "U0NOBODY001"]')
    assert about("slack.on_call") == ["fix U0DEPLOY001 is a bot, which cannot be on call: name a person"]
    assert about("slack.acknowledgers") == [
        "ok U0ANNA00001 is a person",
        "fix U0NOBODY001: user_not_found: correct the id",
    ]


def test_nobody_is_on_call(install, monkeypatch):
    install()
    monkeypatch.delenv("PROCESSING_TIME__SLACK__ON_CALL")
    assert about("slack.on_call") == ["note is not set: level 2 mentions nobody"]


def test_slack_out_of_reach(install, slack, monkeypatch):
    install()
    connection = json.loads(slack.connection()) | {
        "extra": {"base_url": f"http://127.0.0.1:{_closed_port()}/api/"}
    }
    monkeypatch.setenv("AIRFLOW_CONN_PROCESSING_TIME_SLACK", json.dumps(connection))
    assert about(SLACK) == ["fix Slack cannot be reached (URLError): check the network and the proxy"]


# --- connections ----------------------------------------------------------------------------------------------


def test_connections_that_are_not_defined(install, monkeypatch):
    install()
    for name in (MYSQL, STORE, SLACK, REDIS):
        monkeypatch.delenv(f"AIRFLOW_CONN_{name.upper()}")
    told = {line.what: (line.mark, line.text) for line in doctor.examine(PRESENT)}
    for name in (MYSQL, STORE, SLACK, REDIS):
        variable = f"AIRFLOW_CONN_{name.upper()}"
        assert told[name] == ("fix", f"is not defined: add the connection to Airflow, or set {variable}")


def test_connections_that_make_no_sense(install, monkeypatch):
    install()
    for name in (MYSQL, STORE, SLACK, REDIS):
        monkeypatch.setenv(
            f"AIRFLOW_CONN_{name.upper()}", '{"conn_type": "slack", "password": "hidden-secret", "extra"'
        )
    lines = found()
    assert not any("hidden-secret" in line for line in lines)
    for name in (MYSQL, STORE, SLACK, REDIS):
        assert [line.split()[0] for line in lines if name in line.split()] == ["fix"]


def test_the_optional_ones(install, monkeypatch):
    install()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setenv("AIRFLOW_CONN_PROCESSING_TIME_CALCOM", f"https://:secret@127.0.0.1:{port}")
        assert about("processing_time_calcom") == [
            f"ok port {port} of its host answers (the login is not tried)"
        ]
    assert about("processing_time_calcom") == [
        f"fix port {port} of its host does not answer (ConnectionRefusedError): check host and port"
    ]


@pytest.mark.parametrize(
    ("connection", "told"),
    [
        (
            "{'conn_type': 'generic'}",
            "path = '' in the extra of the connection processing_time_laravel is not",
        ),
        (
            "{'conn_type': 'generic', 'extra': {'path': '/srv/app', 'php': 'no-php'}}",
            "no-php cannot be run here",
        ),
        (
            "{'conn_type': 'ssh', 'host': '127.0.0.1', 'port': 9, 'extra': {'path': '/srv/app'}}",
            "does not work",
        ),
    ],
)
def test_an_artisan_that_cannot_be_run(connection, told, install, monkeypatch):
    install()
    monkeypatch.setenv("AIRFLOW_CONN_PROCESSING_TIME_LARAVEL", connection.replace("'", '"'))
    (line,) = about("processing_time_laravel")
    assert line.startswith("fix ")
    assert told in line


# --- the command ----------------------------------------------------------------------------------------------


@pytest.fixture
def loud_again() -> Iterator[None]:
    """The command silences the log of its process."""
    yield
    logging.disable(logging.NOTSET)


def test_the_status_says_whether_something_needed_is_broken(
    install, application, loud_again, monkeypatch, capsys
):
    monkeypatch.setattr(doctor, "datetime", _Clock)
    install()
    assert doctor.main([]) == 0
    assert capsys.readouterr().out.endswith("Everything that is needed works.\n")
    application.remove_logs()
    assert doctor.main([]) == 1
    assert capsys.readouterr().out.endswith("To fix: 1.\n")


def test_no_secret_is_printed(install, slack, loud_again, capsys, monkeypatch):
    monkeypatch.setattr(doctor, "datetime", _Clock)
    install()
    doctor.main(["--send-test-message"])
    printed = "".join(capsys.readouterr())
    for secret in (*PASSWORDS.values(), slack.token, "laravel's own password", "base64:"):
        assert secret not in printed


class _Clock(datetime):
    @classmethod
    def now(cls, tz=None):
        return PRESENT


def _contents(connection) -> list[tuple[str, int]]:
    with contextlib.closing(connection), connection.cursor() as cursor:
        cursor.execute("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()")
        tables = sorted(row[0] for row in cursor.fetchall())
        counts = []
        for table in tables:
            cursor.execute(f"CHECKSUM TABLE {table}")
            counts.append((table, cursor.fetchone()[1]))
        return counts


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
