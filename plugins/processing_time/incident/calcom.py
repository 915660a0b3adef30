# SPDX-License-Identifier: MIT
"""Cal.com's API, of which one question is asked: is it there, and how long does it take to say so."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

TIMEOUT = 10.0
"""Seconds that Cal.com may take."""


@dataclass(frozen=True, slots=True)
class Health:
    """An answer of ``GET /v2/health``.

    :param status: the HTTP status; None when there was no answer.
    :param milliseconds: how long it took.
    :param fault: why there was no answer, in one word.
    """

    status: int | None
    milliseconds: int
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Calcom:
    """A client of Cal.com's API.

    :param address: such as ``https://api.cal.com``.
    :param token: an API key, ``cal_…``.
    """

    address: str
    token: str = field(repr=False)

    def health(self) -> Health:
        """Ask how it is; never raises for what Cal.com or the network does."""
        import httpx

        begun = time.monotonic()
        status, fault = None, ""
        try:
            # Redirects are not followed: the token is for this address.
            answer = httpx.get(
                f"{self.address.rstrip('/')}/v2/health",
                headers={"Authorization": f"Bearer {self.token}"} if self.token else {},
                timeout=TIMEOUT,
            )
            status = answer.status_code
        except httpx.HTTPError as error:
            fault = type(error).__name__  # its text may hold the address
        except (httpx.InvalidURL, ValueError) as error:
            fault = type(error).__name__
        return Health(status, round((time.monotonic() - begun) * 1000), fault)
