# SPDX-License-Identifier: MIT
"""Unit tests have no network: opening a socket fails the test."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_network(socket_disabled: None) -> None:
    """Any socket raises SocketBlockedError."""
