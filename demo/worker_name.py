# SPDX-License-Identifier: MIT
"""The name under which a worker shows in Airflow: several of them are on one machine here."""

from __future__ import annotations

import os
import socket

VARIABLE = "WORKER_NAME"


def worker_name() -> str:
    """What Airflow asks for a machine's name (`[core] hostname_callable`)."""
    return os.environ.get(VARIABLE) or socket.gethostname()
