# SPDX-License-Identifier: MIT
"""How the phases that were made are spread over their types, against what the services are configured to give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from processing_time.model import ALL_COMPANIES, Loss, Sample, Window
from processing_time.sources.scope import Service
from processing_time.sources.snapshot import QueryFault


@dataclass(slots=True)
class _Population:
    """The eligible appointments of one company, or of all.

    ``expected`` and ``found`` count phases by type: what the appointments that have phases should have, and have.
    """

    eligible: int = 0
    with_phases: int = 0
    expected: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)


def samples(
    key: str,
    window: Window,
    services: Mapping[int | str, Service],
    appointments: Iterable[tuple[Any, ...]],
    phases: Iterable[tuple[Any, ...]],
    detail: Mapping[str, Any],
) -> list[Sample]:
    """The largest relative deviation, for all companies and for each that has eligible appointments.

    :param appointments: rows of service id, eligible appointments, those of them that have phases.
    :param phases: rows of service id, phase type, phases.
    :param detail: what every sample's detail holds besides.
    :raises QueryFault: when a service is none of those that are known.
    """
    populations: dict[int, _Population] = {ALL_COMPANIES: _Population()}

    def of(service_id: int | str) -> list[_Population]:
        if service_id not in services:  # a server may take two spellings for the same
            raise QueryFault(
                f"appointments.service_id {service_id!r} is written otherwise in services.id: make them alike"
            )
        company_id = services[service_id].company_id
        own = [populations.setdefault(int(company_id), _Population())] if company_id else []
        return [populations[ALL_COMPANIES], *own]

    for service_id, eligible, with_phases in appointments:
        for population in of(service_id):
            population.eligible += int(eligible)
            population.with_phases += int(with_phases)
            population.expected.update(dict.fromkeys(services[service_id].gives, int(with_phases)))
    for service_id, phase_type, count in phases:
        for population in of(service_id):
            population.found[str(phase_type)] += int(count)
    return [
        _sample(Sample(key, window, company_id), population, detail)
        for company_id, population in sorted(populations.items())
    ]


def _sample(blank: Sample, population: _Population, detail: Mapping[str, Any]) -> Sample:
    found, expected = population.found, +population.expected
    total, due = found.total(), expected.total()
    if total and not due:
        return blank.lost(
            Loss.LOST,
            "the services of these appointments have no phase durations, so no share can be expected: check"
            " initial_duration, processing_duration and final_duration of the services",
        )
    # In whole numbers up to the one division, so that 20 % is 20 %.
    deviations = {
        type_: 100 * abs(found[type_] * due - count * total) / (count * total)
        for type_, count in expected.items()
        if total
    }
    return Sample(
        blank.metric,
        blank.window,
        blank.company_id,
        value=max(deviations.values(), default=None),
        numerator=total,
        denominator=population.with_phases,
        detail={
            "eligible": population.eligible,
            "counts": dict(sorted(found.items())),
            "shares": {t: 100 * n / total for t, n in sorted(found.items())},
            "expected_shares": {t: 100 * n / due for t, n in sorted(expected.items())},
            "deviations": dict(sorted(deviations.items())),
            "unexpected": {t: n for t, n in sorted(found.items()) if t not in expected},
            **detail,
        },
    )
