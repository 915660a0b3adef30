# SPDX-License-Identifier: MIT
"""The companies, services, staff and customers of the stand-in application. All people are made up."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from random import Random

from demo.account import Company, Customer, Service, World

_NAMESPACE = uuid.UUID("5a1f0c52-8f0b-4f6e-9c7e-0d6f3b2a1c00")
_FIRST = (
    "Mia",
    "Jörg",
    "Leyla",
    "Søren",
    "Zoë",
    "Björn",
    "Aylin",
    "Krzysztof",
    "Annegret",
    "Tímea",
    "Luis",
    "Güneş",
)
_LAST = (
    "Müller",
    "Özdemir",
    "Weiß",
    "Schäfer",
    "Nowak",
    "O'Neill",
    "Brandt",
    "Løvgren",
    "Yılmaz",
    "von der Heide",
)


@dataclass(frozen=True)
class _Entry:
    """A service on the price list; `split` is initial, processing and final minutes."""

    company: int
    name: str
    duration: int = 0
    split: tuple[int, int, int] | None = None
    popularity: int = 1
    composite: bool = False
    withdrawn: bool = False


_COMPANIES = (
    (1, "Salon Haarmonie", 12),
    (2, "Schnittpunkt & Söhne", 18),
    (3, "Kosmetik am Dom", 8),
    (4, "Friseurteam Löwe", 8),
    (5, "Nagelstudio Elbe", 6),
    (6, "Barbier Nordlicht", 6),
)
_PRICE_LIST = (
    _Entry(1, "Ansatzfarbe", split=(30, 35, 25), popularity=5),
    _Entry(1, "Balayage", split=(60, 45, 40), popularity=2),
    _Entry(1, "Damenschnitt", 45),
    _Entry(1, "Pony schneiden", 15),
    _Entry(2, "Färben & Glanz <intensiv>", split=(25, 30, 20), popularity=7),
    _Entry(2, "Dauerwelle", split=(40, 30, 30), popularity=3),
    _Entry(2, "Herrenschnitt", 30),
    _Entry(2, "Bartpflege", 15),
    _Entry(3, "Wimpernlifting", split=(20, 30, 15), popularity=3),
    _Entry(3, "Augenbrauen zupfen", 15),
    _Entry(3, "Gesichtsbehandlung", 60),
    # The final part is nothing to do: two phases only.
    _Entry(4, "Tönung zum Mitnehmen", split=(20, 25, 0), popularity=2),
    _Entry(4, "Kinderschnitt", 20),
    _Entry(5, "Gelmodellage", 75),
    _Entry(6, "Rasur", 30),
    _Entry(1, "Brautpaket", 150, composite=True),
    _Entry(3, "Altes Peeling", split=(15, 20, 10), popularity=1, withdrawn=True),
)


def companies() -> tuple[Company, ...]:
    """The companies with the ids of their staff."""
    return tuple(
        Company(
            number, name, tuple(str(uuid.uuid5(_NAMESPACE, f"staff {number} {n}")) for n in range(people))
        )
        for number, name, people in _COMPANIES
    )


def services(world: World) -> tuple[Service, ...]:
    """The services; composite ones only exist in the deployed world, and so do withdrawn ones."""
    listed = [
        entry for entry in _PRICE_LIST if world == "deployed" or not (entry.composite or entry.withdrawn)
    ]
    return tuple(_service(number, entry, world) for number, entry in enumerate(listed, start=1))


def _service(number: int, entry: _Entry, world: World) -> Service:
    initial, processing, final = entry.split or (None, None, None)
    return Service(
        id=str(number) if world == "deployed" else str(uuid.uuid5(_NAMESPACE, f"service {entry.name}")),
        company_id=entry.company,
        name=entry.name,
        duration=sum(entry.split) if entry.split else entry.duration,
        initial=initial,
        processing=processing,
        final=final,
        composite=entry.composite,
        withdrawn=entry.withdrawn,
        popularity=entry.popularity,
    )


def customers(company: Company) -> list[Customer]:
    """Two hundred regulars of a company, the same ones each time."""
    rng = Random(company.name)
    people = []
    for number in range(200):
        first, last = rng.choice(_FIRST), rng.choice(_LAST)
        mailbox = f"{first}.{last}.{number}".lower().replace(" ", "-").replace("'", "")
        people.append(
            Customer(
                id=company.id * 1000 + number,
                company_id=company.id,
                name=f"{first} {last}",
                email=f"{mailbox}@kunden.example",
                phone=f"+49 151 {rng.randrange(10**7, 10**8)}",
            )
        )
    return people
