# SPDX-License-Identifier: MIT
"""Makes the tables of our store, or brings them up to date; of each target, where there are several.

    PYTHONPATH=plugins python -m processing_time.migrate [--wait SECONDS]

A check does the same when it opens the store. This is for a set-up that wants it done before the first one, such as the init step of
a Compose file; it waits for a server that is only starting. Status 1 says that a store cannot be used.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence

from airflow.sdk.exceptions import AirflowNotFoundException
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from processing_time.operators.connections import store_connect
from processing_time.settings import Settings, SettingsError, load_each
from processing_time.store import Store
from processing_time.store_session import StoreError

PAUSE = 3.0
"""Seconds between two attempts."""


def main(arguments: Sequence[str] | None = None, sleep: Callable[[float], None] = time.sleep) -> int:
    """Migrate every store; the exit status."""
    parser = argparse.ArgumentParser(prog="processing_time.migrate", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--wait", type=float, default=0, metavar="SECONDS", help="try again for so long; by default once"
    )
    options = parser.parse_args(arguments)
    # As Airflow's own `airflow connections` does: connections in Airflow's database count too.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    try:
        for settings in load_each():
            for attempt in Retrying(
                retry=retry_if_exception_type(StoreError),
                stop=stop_after_delay(options.wait),
                wait=wait_fixed(PAUSE),
                before_sleep=_say_why,
                sleep=sleep,
                reraise=True,
            ):
                with attempt:
                    _migrate(settings)
            print(f"{settings.connections.store}: the tables are there and up to date.", flush=True)
    except (SettingsError, StoreError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _migrate(settings: Settings) -> None:
    try:
        with Store(store_connect(settings)) as store:
            store.sightings()
    except AirflowNotFoundException:
        raise SettingsError(
            f"there is no connection {settings.connections.store}: set it up as docs/install.md says"
        ) from None
    except StoreError as error:
        raise StoreError(settings.named(str(error))) from None


def _say_why(state: RetryCallState) -> None:
    """Say what is waited for."""
    if state.outcome is not None:
        print(f"{state.outcome.exception()}; trying again in {PAUSE:.0f} seconds", flush=True)


if __name__ == "__main__":
    sys.exit(main())
