# SPDX-License-Identifier: MIT
"""The logs of several hosts as one: their counts are added second by second, so nothing falls between two hosts.

A host whose log is missing costs only what it must: a rule that fires on the others fires. Everything else is unknown,
as what is not there may be what matters.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from processing_time.model import Collected, Loss, Sample, SourceUnavailable
from processing_time.sources.laravel_log.asked import Asked
from processing_time.sources.laravel_log.counted import Counted
from processing_time.sources.laravel_log.measures import Measures
from processing_time.sources.laravel_log.records import iso
from processing_time.sources.laravel_log.scanning import Plan, Tally

if TYPE_CHECKING:
    from processing_time.settings import Settings
    from processing_time.timeline import Timeline

THE_ONLY_ONE = ""
"""The host of a log that all hosts write, or that is not spread over several."""


def combine(
    settings: Settings,
    timeline: Timeline,
    given: Mapping[str, Counted | str],
    earlier: Sequence[tuple[datetime, Collection[str]]] = (),
) -> Collected:
    """Measure every enabled log metric and rule over the logs of all hosts together.

    :param given: by host, what its log holds, or the sentence that says why that is not known.
    :param earlier: the checks since *since last check*, none of which had all hosts, and the hosts that each had. What such
        a check has told does not fire again.
    :return: samples of company 0, and facts as :func:`collect` gives them; ``missing_hosts`` among them says why, by
        host, when one is missing.
    :raises SourceUnavailable: when all are missing.
    """
    asked = Asked(settings, timeline)
    missing = {host: why for host, count in given.items() if (why := _unusable(count, asked))}
    counted = {host: c for host, c in given.items() if host not in missing and isinstance(c, Counted)}
    missing |= _twice(counted)
    missing |= _silent({host: c for host, c in counted.items() if host not in missing}, settings, timeline)
    counted = {host: c for host, c in counted.items() if host not in missing}
    if not counted:
        raise SourceUnavailable(missing.get(THE_ONLY_ONE) or missing_text(missing))
    tallies = _together(asked.plan, list(counted.values()))
    measures = Measures(settings, asked, tallies, _told(counted, asked, settings, earlier))
    samples = measures.samples()
    facts = {**_facts(counted), **measures.facts()}
    if missing:
        samples = (_without(sample, settings, missing_text(missing)) for sample in samples)
        facts["missing_hosts"] = missing
    return Collected(tuple(samples), facts)


def _told(
    counted: Mapping[str, Counted],
    asked: Asked,
    settings: Settings,
    earlier: Sequence[tuple[datetime, Collection[str]]],
) -> dict[str, datetime]:
    """By rule, the newest earlier check that has read every host whose log matches it."""
    found = {}
    for key in settings.log_rules.keys() & settings.enabled("log"):
        index = asked.index[f"{key}.match"]
        matching = {host for host, c in counted.items() if c.tallies[index].newest is not None}
        if checks := [at for at, hosts in earlier if matching <= set(hosts)]:
            found[key] = max(checks)
    return found


def missing_text(missing: Mapping[str, str]) -> str:
    """Which hosts' logs are missing, and why."""
    return "; ".join(f"the log of {host} is missing ({why})" for host, why in missing.items())


def _unusable(given: Counted | str, asked: Asked) -> str:
    if isinstance(given, str):
        return given
    if given.sign != asked.sign:
        return "it was counted with other settings: give its worker the same settings and the same version"
    return ""


def _twice(counted: Mapping[str, Counted]) -> dict[str, str]:
    """The hosts whose task has read a file that another one's has read: it has run on the wrong machine."""
    read_by: dict[str, str] = {}
    found: dict[str, str] = {}
    for host, path, file_id in ((h, f["path"], f.get("id")) for h, c in counted.items() for f in c.files):
        # A worker of an older version tells none.
        if file_id and (other := read_by.setdefault(file_id, host)) != host:
            found[host] = (
                f"its task has read {path}, which that of {other} has read, too: let no worker take the queues of both"
            )
    return found


def _silent(counted: Mapping[str, Counted], settings: Settings, timeline: Timeline) -> dict[str, str]:
    """The hosts that have not written for long while another has. An empty log is as old as its file."""
    spoke = {host: c.written if c.newest is None else c.newest for host, c in counted.items()}
    fresh = (timeline.as_of - settings.silent_after).timestamp()
    if all(second < fresh for second in spoke.values()):
        return {}
    return {
        host: f"it has written nothing since {_local(second, settings)}"
        for host, second in spoke.items()
        if second < fresh
    }


def _local(second: int, settings: Settings) -> str:
    return f"{datetime.fromtimestamp(second, UTC).astimezone(settings.zone):%Y-%m-%d %H:%M}"


def _together(plan: Plan, counted: Sequence[Counted]) -> Sequence[Tally]:
    if len(counted) == 1:
        return counted[0].tallies
    tallies = [Tally(plan, first) for first in plan.series_from]
    for one in counted:
        for tally, theirs in zip(tallies, one.tallies, strict=True):
            tally.add(theirs)
    return tallies


def _facts(counted: Mapping[str, Counted]) -> dict[str, Any]:
    newest = [c.newest for c in counted.values() if c.newest is not None]
    files = [
        {"path": file["path"], "bytes_read": file["bytes_read"], **_named(host)}
        for host, c in counted.items()
        for file in c.files
    ]
    return {
        "files": files,
        "bytes_read": sum(file["bytes_read"] for file in files),
        "newest_record": iso(max(newest)) if newest else None,
        "globs": {_of(glob, host): n for host, c in counted.items() for glob, n in c.globs.items()},
    }


def _named(host: str) -> dict[str, str]:
    return {} if host == THE_ONLY_ONE else {"host": host}


def _of(glob: str, host: str) -> str:
    return glob if host == THE_ONLY_ONE else f"{glob} on {host}"


def _without(sample: Sample, settings: Settings, text: str) -> Sample:
    """A sample of which a part is missing: more of it would not stop a rule from firing, but changes all others."""
    rule = settings.log_rules.get(sample.metric)
    if rule and (sample.value or 0) > rule.more_than:
        return replace(sample, reason=f"at least: {text}")
    return sample.lost(Loss.SOURCE, text)
