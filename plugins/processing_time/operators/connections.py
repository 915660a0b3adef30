# SPDX-License-Identifier: MIT
"""From Airflow connections to the plain clients that the library works with. Building one makes no request."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paramiko import SSHClient
    from redis import Redis
    from slack_sdk import WebClient

    from processing_time.incident.artisan import Artisan
    from processing_time.incident.calcom import Calcom
    from processing_time.settings import Settings

REDIS_TIMEOUT = 10.0
"""Seconds that a Redis command or connection attempt may take; redis-py would wait for ever."""


def mysql_connect(conn_id: str, patience: int = 0) -> Callable[[], Any]:
    """A function that opens a new DB-API connection for a mysql connection id.

    :param patience: seconds after which a silent server is given up, when connecting and when reading; 0: the connection's
        own. A task has an end anyhow.
    """
    from airflow.providers.mysql.hooks.mysql import MySqlHook

    class Bounded(MySqlHook):
        def _get_conn_config_mysql_client(self, conn: Any) -> dict[str, Any]:
            waits = dict.fromkeys(("connect_timeout", "read_timeout", "write_timeout"), patience)
            return {**super()._get_conn_config_mysql_client(conn), **waits}

    # The hook passes no such thing on from a connection's extra.
    return (Bounded if patience else MySqlHook)(mysql_conn_id=conn_id).get_conn


def store_connect(settings: Settings, conn_id: str | None = None, *, patience: int = 0) -> Callable[[], Any]:
    """The same for our own schema, which several targets must not share by chance.

    The function raises :class:`StoreError` when a target's connection names no schema.

    :param conn_id: instead of the connection that the settings name.
    :param patience: as of :func:`mysql_connect`.
    """
    conn_id = conn_id or settings.connections.store
    connect = mysql_connect(conn_id, patience)
    if not settings.target:
        return connect

    def connect_to_its_own() -> Any:
        from airflow.sdk import BaseHook

        from processing_time.store_session import StoreError

        if not BaseHook.get_connection(conn_id).schema:
            raise StoreError(
                f"the connection {conn_id} names no database: end it with one that only this target uses, such as"
                f" /{settings.schema_name}"
            )
        return connect()

    return connect_to_its_own


def redis_client(conn_id: str) -> Redis:
    """A Redis client with bounded waits; the number of its database ends the address, or is the extra ``db``.

    :raises SourceUnavailable: when what ends the address is no number.
    """
    from airflow.providers.redis.hooks.redis import RedisHook

    from processing_time.model import SourceUnavailable

    hook = RedisHook(redis_conn_id=conn_id)
    client: Redis = hook.get_conn()  # type: ignore[no-untyped-call]
    options = client.connection_pool.connection_kwargs
    options.update(socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT)
    # Airflow's hook looks at the extra alone.
    if hook.db is None and (number := hook.get_connection(conn_id).schema):
        if not number.isdecimal():
            raise SourceUnavailable(
                f"{conn_id} ends with /{number}, which is no number of a database: write one such as /1"
            )
        options["db"] = int(number)
    return client


def slack_client(conn_id: str) -> WebClient:
    """A Slack client that never repeats a call by itself: a repeated ``chat.postMessage`` posts twice."""
    from airflow.providers.slack.hooks.slack import SlackHook

    client: WebClient = SlackHook(slack_conn_id=conn_id, retry_handlers=[]).client
    return client


def calcom(conn_id: str) -> Calcom:
    """Cal.com's API: an http connection with its address and, as the password, an API key."""
    from airflow.sdk import BaseHook

    from processing_time.incident.calcom import Calcom

    connection = BaseHook.get_connection(conn_id)
    host = connection.host or "api.cal.com"
    address = host if "://" in host else f"{connection.schema or 'https'}://{host}"
    return Calcom(f"{address}:{connection.port}" if connection.port else address, connection.password or "")


def laravel(conn_id: str) -> Artisan:
    """Where ``php artisan`` runs: an ssh connection, or a generic one for this machine. Its extra names the application.

    :raises Refused: when the connection does not exist or cannot be used; nothing is connected to here.
    """
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    from processing_time.incident import artisan_local, artisan_ssh
    from processing_time.incident.action import Refused
    from processing_time.incident.artisan import PhpArtisan
    from processing_time.incident.artisan_location import Location

    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise Refused(
            f"there is no connection {conn_id}, which says where php artisan runs: set it up as docs/install.md says"
        ) from None
    location = Location.from_extra(connection.extra_dejson)
    if connection.conn_type == "ssh":
        from airflow.providers.ssh.hooks.ssh import SSHHook

        def connect() -> SSHClient:
            # The host key is checked unless the connection says otherwise; one attempt: a person is waiting.
            return SSHHook(conn_id, conn_retry_attempts=1).get_conn()

        return PhpArtisan(artisan_ssh.runner(connect, location.timeout), location)
    if connection.conn_type == "generic":
        return PhpArtisan(artisan_local.runner(location.timeout), location)
    raise Refused(
        f"the connection {conn_id} is of type {connection.conn_type}: make it ssh, or generic for this machine"
    )
