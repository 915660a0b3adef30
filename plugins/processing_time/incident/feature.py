# SPDX-License-Identifier: MIT
"""``disable_feature`` and ``enable_feature``: the flags in the application's ``.env``, where artisan runs.

With the master toggle off, a whitelisted service still has the feature. Disabling is both: the toggle off and the list of
services empty. A backup beside ``.env`` remembers what they were, and enabling goes back to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from processing_time.incident.action import Hands, Outcome, Plan, Refused, Request, Result
from processing_time.incident.artisan import CommandFailed, FlagFile, Ran, Switch
from processing_time.model import SourceUnavailable
from processing_time.settings import Settings
from processing_time.sources import feature_flags

RELOAD = (
    "Processes that live long keep the old flags: php artisan queue:restart for queue workers, a reload for Octane, and for"
    " PHP-FPM where opcache.validate_timestamps is 0."
)
AGAIN = "Mend that and start the action again, or run php artisan config:cache there by hand."
ALSO = (
    "CAREFUL: rebuilding it changes more than the flags, because .env was edited since, or because it was cached with"
    " variables that the user who runs artisan does not have. Approve only if these may change:"
)
MOUNTED_ALONE = (
    "The monitor itself still reads other flags in application.env_file: a file that is mounted alone stays the old one."
    " Mount its directory, or restart what mounts it; until then its metrics count by the old flags."
)
_ENABLED, _SERVICES = "processing_time_enabled", "processing_time_service_whitelist"
_COMPANIES = "processing_time_company_whitelist"


class _SwitchFeature:
    """Both ways."""

    switch: Switch
    means: str
    undo: str

    def plan(self, request: Request, hands: Hands) -> Plan:
        """What the flags are, and would be."""
        artisan = hands.artisan()
        file, reads = artisan.flags(self.switch), artisan.features()
        # .env may say so already while the application still reads a cached configuration.
        done = file.before == file.after and _follows(file, reads)
        lines = [
            self.means,
            *(f"{key}: {_shown(file.before[key])} → {_shown(file.after[key])}" for key in _changed(file)),
        ]
        if file.saved:
            lines.append(f"These are the values from before it was disabled, saved at {file.saved}.")
        lines += _for_whom(file, reads)
        if file.config_cached:
            lines.append("The configuration is cached, so it is rebuilt (php artisan config:cache).")
        if file.also_changes:
            lines.append(f"{ALSO} {', '.join(file.also_changes)}.")
        return Plan(
            lines=("The application reads it so already: nothing to do.",) if done else (*lines, RELOAD),
            counts={"flags": len(_changed(file))},
            empty=done,
            detail={
                "before": dict(file.before),
                "after": dict(file.after),
                "also_changes": list(file.also_changes),
                "application_reads": _flags(reads),
            },
        )

    def act(self, request: Request, hands: Hands, plan: Plan) -> Result:
        """Set them, rebuild a cached configuration, and ask the application what it reads now.

        :raises Refused: when the flags are neither as they were planned from nor as they were planned to be.
        """
        artisan = hands.artisan()
        file = artisan.flags(self.switch)
        if set(file.also_changes) - set(plan.detail["also_changes"]):
            raise Refused("rebuilding the configuration would change more than was approved: start it again")
        if dict(file.before) != plan.detail["after"]:
            if dict(file.before) != plan.detail["before"] or dict(file.after) != plan.detail["after"]:
                raise Refused(
                    "the flags in the application's .env are not those that were approved: start it again"
                )
            file = artisan.set_flags(self.switch)
        runs: list[Ran] = []
        try:
            if file.config_cached:
                runs.append(artisan.rebuild_config())
            reads = artisan.features()
        except Refused as fault:  # a machine that does not answer any more, too
            runs += [fault.ran] if isinstance(fault, CommandFailed) else []
            lines = f"The flags are set in .env, but the application may not follow: {fault}.", AGAIN
            return Result(Outcome.PARTLY, lines, {**plan.detail, "runs": [ran.to_json() for ran in runs]})
        detail = {**plan.detail, "application_reads": _flags(reads), "runs": [ran.to_json() for ran in runs]}
        now = f"The application now reads: master toggle {_word(reads.get(_ENABLED))}, {_listed(reads.get(_SERVICES))}."
        if not _follows(file, reads):
            return Result(
                Outcome.FAILED,
                (
                    f"The flags are set in .env, but the application does not follow. {now}",
                    "A variable of that name in the environment of its processes outranks .env: look for one there.",
                ),
                detail,
            )
        return Result(Outcome.DONE, (now, *_own_view(hands.settings, file), RELOAD, self.undo), detail)


class DisableFeature(_SwitchFeature):
    """Off for everybody."""

    switch: Switch = "disable"
    means = "Switch processing time off for everybody: the master toggle, and the list of services that have it anyway."
    undo = "The way back is enable_feature; phases that exist are left as they are."


class EnableFeature(_SwitchFeature):
    """On again, as it was before it was disabled."""

    switch: Switch = "enable"
    means = "Switch processing time on again."
    undo = "Watch phase_creation_success_rate at the next checks; the way back is disable_feature."


def _changed(file: FlagFile) -> list[str]:
    return [key for key in file.after if file.after[key] != file.before[key]]


def _follows(file: FlagFile, reads: Mapping[str, Any]) -> bool:
    """Whether the application reads what the file says once it is switched."""
    return (bool(reads.get(_ENABLED)), bool(reads.get(_SERVICES))) == (file.toggle, file.listed)


def _for_whom(file: FlagFile, reads: Mapping[str, Any]) -> list[str]:
    if not file.toggle:
        return []
    companies = ", ".join(str(id_) for id_ in reads.get(_COMPANIES) or ())
    return [f"With that it is on for {f'the companies {companies}' if companies else 'ALL companies'}."]


def _own_view(settings: Settings, file: FlagFile) -> list[str]:
    """What to do when our own copy of ``.env`` does not follow; one that cannot be read alerts by itself."""
    try:
        flags = feature_flags.read(settings.application.env_file)
    except SourceUnavailable:
        return []
    same = (flags.enabled, bool(flags.service_whitelist)) == (file.toggle, file.listed)
    return [] if same or not flags.configured else [MOUNTED_ALONE]


def _flags(reads: Mapping[str, Any]) -> dict[str, Any]:
    return {key: reads.get(key) for key in (_ENABLED, _SERVICES)}


def _shown(value: str | None) -> str:
    return "not set" if value is None else value or "empty"


def _word(value: object) -> str:
    return "on" if value else "off"


def _listed(services: Any) -> str:
    return f"{len(services)} services whitelisted" if services else "no service whitelisted"
