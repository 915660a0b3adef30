# SPDX-License-Identifier: MIT
"""What the doctor asks of one connection, given its client: the store, Slack, the cache's keys, the database's logins.

Each gives findings, one line each. Nothing is changed, but for the tables of an empty store, which the store makes at
first use, and a test message in Slack when it is asked for.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from redis import Redis, RedisError
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from processing_time import grants
from processing_time.settings import Channels, Settings
from processing_time.sources import cache
from processing_time.sources.snapshot import Snapshot
from processing_time.store_session import Session, StoreError, fetch

STORE_PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "INDEX")
REPAIR_PRIVILEGES = {
    "appointment_phases": ("SELECT", "INSERT", "DELETE"),
    "appointments": ("SELECT",),
    "services": ("SELECT",),
}
SCOPES = {
    "chat:write": "send messages",
    "channels:history": "look for a message whose answer was lost",
    "groups:history": "the same in private channels",
    "channels:read": "see the channels",
    "groups:read": "see private channels",
    "reactions:read": "be acknowledged by 👀",
    "users:read": "tell people from bots",
    "files:write": "send reports",
}
TEST_MESSAGE = "Test message of the Processing Time monitor: messages arrive here. Nothing is wrong."
CONNECT_TIMEOUT = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Line:
    """One finding. ``mark`` is ``ok``, ``fix`` (something needed is broken) or ``note``."""

    mark: str
    what: str
    text: str

    def __str__(self) -> str:
        return f"{self.mark:<5} {self.what:<27} {self.text}"


Found = Iterator[Line]

# --- databases ----------------------------------------------------------------------------------------------


def reader(what: str, opened: Snapshot, traffic: str) -> Found:
    """A login that may do nothing but read the application's database; ``traffic`` is what it read there."""
    server, schema, held = _login(opened)
    more = held.beyond((), schema)
    yield Line("ok", what, f"{server}, {'more than SELECT' if more else 'SELECT only'}, {traffic}")
    if more:
        yield Line("note", what, f"its login has {', '.join(more)} on {schema}: grant it SELECT only")


def repairer(what: str, opened: Snapshot) -> Found:
    """A login that may make and remove phases, and read what it needs for that."""
    server, schema, held = _login(opened)
    lacking = [
        f"{', '.join(missing)} ON {schema}.{table}"
        for table, wanted in REPAIR_PRIVILEGES.items()
        if (missing := held.missing(wanted, schema, table))
    ]
    if lacking:
        yield Line("fix", what, f"its login lacks {'; '.join(lacking)}: grant it")
    else:
        yield Line("ok", what, f"{server}, may repair {schema}.appointment_phases")
    if more := held.beyond(("INSERT", "DELETE"), schema):
        yield Line("note", what, f"its login has {', '.join(more)} on {schema}: INSERT and DELETE will do")


def _login(opened: Snapshot) -> tuple[str, str, grants.Grants]:
    version, schema = opened.rows("SELECT VERSION(), DATABASE()")[0]
    return (
        server_text(str(version)),
        str(schema),
        grants.parse(str(row[0]) for row in opened.rows("SHOW GRANTS")),
    )


def server_text(version: str) -> str:
    """The server's kind and number from its version text: ``MariaDB 10.11.18``."""
    return f"{'MariaDB' if 'mariadb' in version.lower() else 'MySQL'} {version.split('-')[0]}"


def store(what: str, connect: Callable[[], Any]) -> Found:
    """Our own schema: reachable, not the application's, migrated, with the grants that it needs."""
    session = Session(lambda: _not_the_application(connect()))
    try:
        yield from session.run(lambda cursor: list(_store(what, cursor)))
    except StoreError as error:
        yield Line("fix", what, str(error))
    finally:
        session.close()


def _store(what: str, cursor: Any) -> Found:
    sql = "SELECT VERSION() AS server, DATABASE() AS name, MAX(v.version) AS version FROM schema_version AS v"
    (row,) = fetch(cursor, sql)
    held = grants.parse(str(next(iter(grant.values()))) for grant in fetch(cursor, "SHOW GRANTS"))
    if missing := held.missing(STORE_PRIVILEGES, row["name"], "*"):
        yield Line(
            "fix",
            what,
            f"its login lacks {', '.join(missing)} on {row['name']}: GRANT ALL ON {row['name']}.* TO it",
        )
    else:
        yield Line(
            "ok",
            what,
            f"{server_text(row['server'])}, schema {row['name']}, migrated to version {row['version']}",
        )


def _not_the_application(connection: Any) -> Any:
    """The connection, unless it leads to the application's tables, which must never get ours beside them."""
    cursor = connection.cursor()
    found = fetch(
        cursor,
        "SELECT TABLE_NAME FROM information_schema.TABLES"
        " WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'appointments'",
    )
    cursor.close()
    if found:
        connection.close()
        raise StoreError(
            "it leads into the application's own database: name the schema processing_time_monitor"
        )
    return connection


# --- cache --------------------------------------------------------------------------------------------------


def keys_elsewhere(client: Redis, pattern: str) -> str:
    """Where keys are when none matches: without the pattern's ``pt_`` part, or in another database; empty when nowhere."""
    looser = pattern.split(":pt_")[0].rstrip("*") + "*" if ":pt_" in pattern else pattern
    own = int(client.connection_pool.connection_kwargs.get("db") or 0)
    try:
        numbers = sorted(int(name.removeprefix("db")) for name in client.info("keyspace"))
        for number in [own, *(n for n in numbers if n != own)]:
            for wanted in dict.fromkeys((pattern, looser)):
                if _any_key(client, number, wanted):
                    return _advice(own, number, pattern, wanted)
    except RedisError:
        return ""  # a hint only: this login may not be allowed to look around
    return ""


def _any_key(client: Redis, number: int, pattern: str) -> bool:
    pool = client.connection_pool
    there = Redis.from_pool(type(pool)(pool.connection_class, **{**pool.connection_kwargs, "db": number}))
    try:
        return next(cache.scan(there, pattern), None) is not None
    finally:
        there.close()


def _advice(own: int, number: int, pattern: str, found: str) -> str:
    parts = [f"keys match {found}"]
    fixes = []
    if number != own:
        parts.append(f"in database {number}")
        fixes.append(f"end the connection's address with /{number}")
    if found != pattern:
        fixes.append(f'set application.cache_key_pattern: "{found}"')
    return f"{' '.join(parts)}: {' and '.join(fixes)}"


# --- Slack --------------------------------------------------------------------------------------------------


def slack(what: str, client: WebClient, settings: Settings, *, send: bool) -> Found:
    """The token, its scopes, the channels, the people; a test message when it is asked for."""
    try:
        answer = client.auth_test()
    except SlackApiError as error:
        yield Line(
            "fix",
            what,
            f"Slack refuses the token ({error.response['error']}): put the app's bot token into it",
        )
        return
    except (SlackClientError, OSError) as error:
        yield Line(
            "fix", what, f"Slack cannot be reached ({type(error).__name__}): check the network and the proxy"
        )
        return
    yield Line("ok", what, f"the token works, as {answer['user']} in {answer['team']}")
    held = {scope.strip() for scope in str(answer.headers.get("x-oauth-scopes", "")).split(",")}
    if missing := [f"{scope} (to {purpose})" for scope, purpose in SCOPES.items() if scope not in held]:
        yield Line(
            "fix", what, f"scopes are missing: {', '.join(missing)}: add them to the app, install it again"
        )
    yield from _channels(client, settings, send=send)
    yield from _people(client, settings)


def _channels(client: WebClient, settings: Settings, *, send: bool) -> Found:
    channels = settings.slack.channels
    named = {name: getattr(channels, name) for name in Channels.model_fields}
    if not any(named.values()):
        yield Line(
            "fix", "slack.channels", "no channel is set: nobody would be told; set at least one channel id"
        )
    for name, channel in named.items():
        what = f"slack.channels.{name}"
        if channel is None:
            used = settings.slack.channel(name)
            yield from [Line("note", what, f"is not set: messages go to {used}")] if used else []
            continue
        yield _channel(client, what, channel)
        if send and channel not in list(named.values())[: list(named).index(name)]:
            yield _sent(client, what, channel)


def _channel(client: WebClient, what: str, channel: str) -> Line:
    try:
        found = client.conversations_info(channel=channel)["channel"]
    except SlackApiError as error:
        code = error.response["error"]
        if code == "missing_scope":
            return Line(
                "note",
                what,
                f"{channel} cannot be looked at without the scopes channels:read and groups:read",
            )
        if code == "channel_not_found":
            return Line(
                "fix", what, f"there is no channel {channel}: correct the id; invite the bot if it is private"
            )
        return Line("fix", what, f"{channel} cannot be used ({code})")
    except (SlackClientError, OSError) as error:
        return Line("fix", what, f"{channel} could not be looked at ({type(error).__name__}): try again")
    if found.get("is_archived"):
        return Line("fix", what, f"#{found['name']} is archived: name another channel")
    if not found.get("is_member"):
        return Line("fix", what, f"the bot is not a member of #{found['name']}: /invite it there")
    return Line("ok", what, f"#{found['name']}")


def _sent(client: WebClient, what: str, channel: str) -> Line:
    try:
        client.chat_postMessage(channel=channel, text=TEST_MESSAGE)
    except SlackApiError as error:
        return Line("fix", what, f"the test message was refused ({error.response['error']})")
    except (SlackClientError, OSError) as error:
        return Line("fix", what, f"the test message may not have arrived ({type(error).__name__})")
    return Line("ok", what, "the test message was sent")


def _people(client: WebClient, settings: Settings) -> Found:
    on_call = settings.slack.on_call
    if on_call is None:
        yield Line("note", "slack.on_call", "is not set: level 2 mentions nobody")
    elif on_call.startswith("<@"):
        yield _person(client, "slack.on_call", on_call.strip("<@>"), bot="cannot be on call")
    else:
        yield Line("ok", "slack.on_call", f"{on_call}, a group (whether it exists is not asked)")
    for user in settings.slack.acknowledgers:
        yield _person(client, "slack.acknowledgers", user, bot="acknowledges nothing")


def _person(client: WebClient, what: str, user: str, *, bot: str) -> Line:
    try:
        found = client.users_info(user=user)["user"]
    except SlackApiError as error:
        code = error.response["error"]
        fix = "correct the id" if code == "user_not_found" else "it could not be asked"
        return Line("fix" if code == "user_not_found" else "note", what, f"{user}: {code}: {fix}")
    except (SlackClientError, OSError) as error:
        return Line("note", what, f"{user} could not be asked about ({type(error).__name__})")
    if found.get("is_bot"):
        return Line("fix", what, f"{user} is a bot, which {bot}: name a person")
    if found.get("deleted"):
        return Line("fix", what, f"{user} has left the workspace: name somebody else")
    return Line("ok", what, f"{user} is a person")


# --- the optional ones ----------------------------------------------------------------------------------------


def reachable(what: str, host: str | None, port: int) -> Line:
    """Whether something accepts connections there; the login is not tried."""
    if not host:
        return Line("ok", what, "on this machine")
    try:
        with socket.create_connection((host, port), timeout=CONNECT_TIMEOUT.total_seconds()):
            return Line("ok", what, f"port {port} of its host answers (the login is not tried)")
    except OSError as error:
        return Line(
            "fix",
            what,
            f"port {port} of its host does not answer ({type(error).__name__}): check host and port",
        )
