# SPDX-License-Identifier: MIT
"""Who has put 👀 on the first message of an alert's thread. Failing to read it must never keep an alert quiet."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from processing_time.model import Acknowledgement, Alert
from processing_time.settings import Settings
from processing_time.slack_calls import Refused, Slack, SlackProblem

log = logging.getLogger(__name__)

REACTION = "eyes"


@dataclass(frozen=True, slots=True)
class Reactions:
    """What was read.

    :param acknowledgements: None when the reactions could not be read.
    :param names: what people are called, by user id.
    """

    acknowledgements: Sequence[Acknowledgement] | None = None
    names: Mapping[str, str] = field(default_factory=dict)


def read(slack: Slack, alerts: Sequence[Alert], settings: Settings, at: datetime) -> Reactions:
    """The reactions of people who may acknowledge, on the root messages of open alerts, as they stand now.

    Where one message cannot be read, its alert keeps the reactions that it had; when Slack cannot be read at all,
    nothing is known. Both are logged, neither raises.

    :param at: when they are read; UTC.
    """
    people = _People(slack, settings)
    threads = dict.fromkeys((a.slack_channel, a.slack_ts) for a in alerts if a.slack_channel and a.slack_ts)
    found: list[Acknowledgement] = []
    for channel, ts in threads:
        members = [a for a in alerts if (a.slack_channel, a.slack_ts) == (channel, ts)]
        try:
            users: Sequence[str] | None = people.allowed(_users(slack, str(channel), str(ts)))
        except Refused as refusal:
            log.warning("Reactions on the alert about %s: %s", members[0].rule, refusal.sentence)
            users = None
        except SlackProblem as problem:
            log.warning("Reactions are not known: %s", problem.sentence)
            return Reactions()
        for alert in members:
            standing = alert.acknowledgers if users is None else users
            found += [Acknowledgement(alert.id, user, at) for user in standing if alert.id is not None]
    return Reactions(found, people.names)


def _users(slack: Slack, channel: str, ts: str) -> list[str]:
    answer = slack.call("reactions_get", channel=channel, timestamp=ts, full=True)
    reactions = answer["message"].get("reactions", [])
    return [user for r in reactions if r["name"].split("::")[0] == REACTION for user in r["users"]]


class _People:
    """Who may acknowledge: those whom the settings list, or any human."""

    def __init__(self, slack: Slack, settings: Settings) -> None:
        self._slack, self._listed = slack, settings.slack.acknowledgers
        self._humans: dict[str, bool] = {}
        self.names: dict[str, str] = {}

    def allowed(self, users: Sequence[str]) -> list[str]:
        return [u for u in users if (u in self._listed if self._listed else self._human(u))]

    def _human(self, user: str) -> bool:
        if user not in self._humans:
            self._humans[user] = self._ask(user)
        return self._humans[user]

    def _ask(self, user: str) -> bool:
        try:
            told = self._slack.call("users_info", user=user)["user"]
        except Refused as refusal:
            # A bot that puts 👀 on everything would silence every alert: who is not known does not count.
            log.warning("A reaction does not count, nobody knows whose it is: %s", refusal.sentence)
            return False
        self.names[user] = told.get("real_name") or told.get("name") or user
        return not told.get("is_bot")
