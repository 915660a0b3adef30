# SPDX-License-Identifier: MIT
"""From Airflow connections to the plain clients that the library works with. Building one makes no request."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redis import Redis
    from slack_sdk import WebClient

MYSQL = "processing_time_mysql"
REDIS = "processing_time_redis"
STORE = "processing_time_store"
SLACK = "processing_time_slack"

REDIS_TIMEOUT = 10.0
"""Seconds that a Redis command or connection attempt may take; redis-py would wait for ever."""


def mysql_connect(conn_id: str) -> Callable[[], Any]:
    """A function that opens a new DB-API connection for a mysql connection id."""
    from airflow.providers.mysql.hooks.mysql import MySqlHook

    return MySqlHook(mysql_conn_id=conn_id).get_conn


def redis_client(conn_id: str) -> Redis:
    """A Redis client with bounded waits."""
    from airflow.providers.redis.hooks.redis import RedisHook

    client: Redis = RedisHook(redis_conn_id=conn_id).get_conn()  # type: ignore[no-untyped-call]
    client.connection_pool.connection_kwargs.update(
        socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT
    )
    return client


def slack_client(conn_id: str) -> WebClient:
    """A Slack client that never repeats a call by itself: a repeated ``chat.postMessage`` posts twice."""
    from airflow.providers.slack.hooks.slack import SlackHook

    client: WebClient = SlackHook(slack_conn_id=conn_id, retry_handlers=[]).client
    return client
