# SPDX-License-Identifier: MIT
"""`python -m demo.run SCENARIO …`: a stand-in world, the hourly check in real Airflow, and what it told Slack.

Ends with 0 when everything came out as the scenario expects, with 1 when not. Airflow's own words are in
.demo/airflow.log.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from datetime import UTC, datetime
from functools import partial
from types import FrameType

from rich.console import Console
from rich.text import Text

from demo import report, stage, terminal
from demo.account import BERLIN, Account
from demo.airflow_runs import AirflowRuns
from demo.scenarios import DEFAULT, SCENARIOS, Check, Scenario, Stage, prepare
from demo.standalone import Standalone
from demo.traffic import generate


def main() -> int:
    """Run the scenarios of the command line."""
    signal.signal(signal.SIGTERM, _end)
    arguments = _arguments()
    # Without a terminal, wide enough for the table.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 150)
    return terminal.ended(console, partial(_run, arguments, console))


def _run(arguments: argparse.Namespace, console: Console) -> int:
    with stage.only_one(), stage.services(keep=arguments.keep) as services:
        demo = Demo(console, services)
        good = [demo.run(name) for name in arguments.scenarios]
        if arguments.keep:
            stage.write_environment(services)
            console.print(f"The servers stay: `. {os.path.relpath(stage.ENVIRONMENT)}` in a shell")
            console.print("points Airflow's commands at them; the next demo or `make clean` ends them.")
        if arguments.up:
            Standalone(console, services, demo.account).run()
        return 0 if all(good) else 1


class Demo:
    """Scenarios, each from empty schemas to the comparison with what was expected."""

    account: Account

    def __init__(self, console: Console, services: stage.Services) -> None:
        self._console = console
        self._services = services
        self._runs = AirflowRuns(stage.AIRFLOW_LOG)

    def run(self, name: str) -> bool:
        """Make the data of a scenario, run its checks, show them; True when all came out as expected."""
        services = self._services
        services.make_ready()
        scenario = prepare(name, datetime.now(UTC))
        self._console.print(Text.assemble((name, "bold"), f"  {SCENARIOS[name].__doc__}"))
        if services.slack is None:
            self._console.print("Messages go to the Slack of AIRFLOW_CONN_PROCESSING_TIME_SLACK.")
        with terminal.timed(
            self._console, "A booking application, 30 days old: MariaDB, Redis, a Laravel log"
        ):
            self.account = generate(scenario.plan)
            services.application.build(self.account)
        with terminal.timed(self._console, "Airflow"):
            self._runs.use(stage.environment(services))
        self._console.print()
        play = Stage(services.application, self.account, services.redis, services.slack)
        told = 0
        for check in scenario.checks:
            kept = self._check(check, play)
            for line in report.check_lines(kept, told):
                self._console.print(line)
            told = len(kept.notifications)
        if play.slack is not None:
            play.slack.set_clock(None)
        self._show(kept)
        return self._compare(scenario, kept)

    def _check(self, check: Check, play: Stage) -> report.Kept:
        """Let happen what happens before a check, run it, and read what it kept."""
        for step in check.steps:
            step.act(play)
            self._console.print(f"             {step.text}", style="cyan")
        if play.redis.pid is not None:
            play.application.warm_cache(play.account)
        if play.slack is not None:
            # Messages bear the time of the check that they are about.
            play.slack.set_clock(check.at.timestamp() + 20)
        self._runs.check(check.at)
        return report.read_store(self._services.mariadb, self._services.application.store, check.at)

    def _show(self, kept: report.Kept) -> None:
        from processing_time.settings import load

        settings = load()
        units = {name: metric.unit for name, metric in settings.metrics.items()}
        order = [*settings.metrics, *settings.log_rules]
        at = kept.check["as_of"].replace(tzinfo=UTC).astimezone(BERLIN)
        self._console.rule(f"The check at {at:%A %d %B, %H:%M} (Berlin): {kept.check['state']}", align="left")
        self._console.print(report.check_table(kept, order, units))
        self._console.print()
        if self._services.slack is None:
            sent = sum(1 for row in kept.notifications if row["delivered_at"] is not None)
            self._console.print(f"The Slack of AIRFLOW_CONN_PROCESSING_TIME_SLACK was told: {sent} messages.")
            return
        shown = list(report.threads(self._services.slack.messages(), self._console.width))
        for panel in shown or ["Slack was told nothing."]:
            self._console.print(panel)

    def _compare(self, scenario: Scenario, kept: report.Kept) -> bool:
        compared = list(report.differences(kept, scenario.expected, self.account))
        wrong = [sentence for sentence, holds in compared if not holds]
        for sentence in wrong:
            self._console.print(Text.assemble(("NOT as expected  ", "bold red"), sentence))
        if not wrong:
            everything = f": {len(compared)} expectations of states, alerts, messages and independent counts."
            self._console.print(Text.assemble(("As expected", "bold green"), everything))
        return not wrong


def _arguments() -> argparse.Namespace:
    listed = "\n".join(f"  {name:<16}{build.__doc__}" for name, build in SCENARIOS.items())
    parser = argparse.ArgumentParser(
        prog="python -m demo.run",
        description="Run the hourly check on a stand-in application.",
        epilog=f"scenarios:\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenarios", nargs="*", default=[DEFAULT], type=_known, metavar="SCENARIO")
    parser.add_argument("--keep", action="store_true", help="let the servers run on, for a look at them")
    parser.add_argument(
        "--up", action="store_true", help="stay, with Airflow's own pages; Ctrl-C ends everything"
    )
    return parser.parse_args()


def _known(name: str) -> str:
    if name not in SCENARIOS:
        raise argparse.ArgumentTypeError(f"there is no {name}; choose one of {', '.join(SCENARIOS)}")
    return name


def _end(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM ends a demo as Ctrl-C does: everything that it started goes with it."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
