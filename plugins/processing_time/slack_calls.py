# SPDX-License-Identifier: MIT
"""One call of Slack's Web API and the three ways in which it can fail: refused, unclear, or no use going on.

The client must not repeat calls by itself (``retry_handlers=[]``): a ``chat.postMessage`` whose answer was lost would be
posted twice. Asked to wait, this waits, up to a bound.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

if TYPE_CHECKING:
    from slack_sdk import WebClient
    from slack_sdk.errors import SlackApiError

LONGEST_WAIT = 30.0
"""Seconds that all ``Retry-After`` together may take; more is left to the task's retry."""
LONGEST_ALT = 1_000
"""Characters that Slack takes as the description of a picture."""

_RATE = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
_SERVER = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout"})
_TOKEN = frozenset(
    {
        *("not_authed", "invalid_auth", "account_inactive", "token_revoked", "token_expired"),
        *(
            "no_permission",
            "org_login_required",
            "ekm_access_denied",
            "access_denied",
            "not_allowed_token_type",
        ),
    }
)


class SlackProblem(Exception):
    """A call failed; ``sentence`` says what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class Refused(SlackProblem):
    """Slack said no to this call; nothing happened."""

    def __init__(self, code: str, sentence: str = "") -> None:
        super().__init__(sentence or f"Slack refuses it ({code})")
        self.code = code


class Unclear(SlackProblem):
    """Nobody knows whether it happened."""


class Stop(SlackProblem):
    """Nothing happened, and no other call would fare better now."""


class Slack:
    """A Slack client whose failures are sorted.

    :param client: without retry handlers.
    :param sleep: waits some seconds.
    """

    def __init__(self, client: WebClient, sleep: Callable[[float], None]) -> None:
        self._client, self._sleep = client, sleep
        self._waited = 0.0

    def call(self, method: str, **arguments: Any) -> Any:
        """Call a method of the client by name and give Slack's answer.

        :raises Refused: Slack said no.
        :raises Unclear: the answer was lost, or Slack broke.
        :raises Stop: the token, the rate limit or the network is the problem.
        """
        from slack_sdk.errors import SlackApiError

        while True:
            try:
                return getattr(self._client, method)(**arguments)
            except SlackApiError as error:
                seconds = _retry_after(error)
                if seconds is None:
                    raise _sorted(error, method) from None
            except URLError as error:
                raise _network(error) from None
            except (OSError, HTTPException) as error:
                raise _lost(error) from None
            self._wait(seconds)

    def upload(self, name: str, content: bytes, alt: str) -> str:
        """Bring bytes to Slack; the id of the file, which nobody sees until it is shared.

        :param alt: what a picture shows, in words.
        :raises SlackProblem: nothing that anybody could see has happened.
        """
        alternative = {"alt_txt": alt[:LONGEST_ALT]} if alt else {}
        place = self.call("files_getUploadURLExternal", filename=name, length=len(content), **alternative)
        proxy = {"http": self._client.proxy, "https": self._client.proxy} if self._client.proxy else None
        opener = build_opener(ProxyHandler(proxy), HTTPSHandler(context=self._client.ssl))
        request = Request(  # noqa: S310  # the address that Slack has just given
            place["upload_url"], content, {"Content-Type": "application/octet-stream"}, method="POST"
        )
        try:
            opener.open(request, timeout=self._client.timeout).close()
        except HTTPError as error:
            raise Refused(
                "upload_failed", f"Slack did not take the file {name} (HTTP {error.code})"
            ) from None
        except URLError as error:
            raise _network(error) from None
        except (OSError, HTTPException) as error:
            raise _lost(error) from None
        return str(place["file_id"])

    def _wait(self, seconds: float) -> None:
        if self._waited + seconds > LONGEST_WAIT:
            raise Stop(
                f"Slack asks to wait {seconds:g} s, more than one task waits in all ({LONGEST_WAIT:g} s):"
                " the task's retry goes on from here"
            )
        self._waited += seconds
        self._sleep(seconds)


def _retry_after(error: SlackApiError) -> float | None:
    """The seconds to wait when that is what Slack asks for."""
    response = error.response
    if response.status_code != 429 and _error_code(error) not in _RATE:
        return None
    headers = {name.lower(): value for name, value in response.headers.items()}
    given = str(headers.get("retry-after", ""))
    return float(given) if given.isdigit() else 1.0


def _sorted(error: SlackApiError, method: str) -> SlackProblem:
    code, status = _error_code(error), error.response.status_code
    if status >= 500 or code in _SERVER or not code.isidentifier():
        return Unclear(
            f"Slack broke at {method} (HTTP {status}): the next attempt looks whether it has the message"
        )
    if code in _TOKEN:
        return Stop(
            f"Slack refuses the token ({code}): put a valid bot token, xoxb-…, into the password of the connection"
            " processing_time_slack"
        )
    if code == "missing_scope":
        needed = error.response.get("needed") or "?"
        sentence = (
            f"the token of the connection processing_time_slack lacks the scope {needed}: add it to the Slack app and"
            " install the app again (docs/slack-app-manifest.yaml)"
        )
        return Stop(sentence) if needed == "chat:write" else Refused(code, sentence)
    return Refused(code, f"Slack refuses {method} ({code})")


def _network(error: URLError) -> SlackProblem:
    reason = error.reason
    if isinstance(reason, ConnectionRefusedError | socket.gaierror | ssl.SSLCertVerificationError):
        return Stop(
            f"Slack cannot be reached ({type(reason).__name__}): check the network of the worker, or base_url in the"
            " extra of the connection processing_time_slack"
        )
    return _lost(reason if isinstance(reason, BaseException) else error)


def _lost(error: BaseException) -> Unclear:
    return Unclear(
        f"Slack's answer was lost ({type(error).__name__}): the next attempt looks whether Slack has the message"
    )


def _error_code(error: SlackApiError) -> str:
    data = error.response.data
    return str(data.get("error", "")) if isinstance(data, dict) else ""
