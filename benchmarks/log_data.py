# SPDX-License-Identifier: MIT
"""A Laravel log of any size in seconds, with the number of every kind of record in it known from its making.

A few dozen blocks of one second each are made up from a seed; the file is these blocks again and again with the time
and the ids put in. One line in twenty concerns Processing Time; the others are chatter and stack traces, some of them
with words of the rules, as real ones have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

END = datetime(2026, 3, 10, 22, 0, tzinfo=UTC)
"""When the logs end, in UTC, which is what they are written in."""
_BLOCKS = 128
_RECORDS = 48
"""A second: 86 lines, 47 MiB an hour."""
_TIME = b"@@@@@@@@@@@@@@@@@@@"
_ID = b"#######"
_KEY = '"cache_key":"week_availability:7:###3:2026-03-16:pt_1"'
_CACHE = "[WeeklyAvailability]"
_OBSERVER = "AppointmentPhaseObserver:"
_SYNC = "SyncAppointmentToCalcomJob:"

_RELEVANT: tuple[tuple[str, int, str], ...] = (
    ("hit", 340, f'DEBUG: {_CACHE} Served from cache {{{_KEY},"user_id":#######}} '),
    ("miss", 150, f'INFO: {_CACHE} Cal.com API response received {{{_KEY},"total_slots":34,"took":####}} '),
    ("created", 200, f'INFO: {_OBSERVER} Phases created {{"appointment_id":#######,"phases_count":3,"duration_ms":%s}} '),
    ("success", 190, f'INFO: {_SYNC} Processing Time appointment sync success {{"appointment_id":#######,"booking_uid":"cal_####"}} '),
    # The guide's grep takes the word in the context for a failure.
    ("success_mentions_error", 8, f'INFO: {_SYNC} Processing Time appointment sync success {{"appointment_id":#######,"error":null}} '),
    ("sync_failed", 14, f'ERROR: ❌ {_SYNC} Processing Time appointment sync failed {{"appointment_id":#######,"reason":"HTTP 503"}} '),
    ("queued", 60, f'INFO: {_SYNC} Processing Time job queued {{"job_id":#######,"tries":3}} '),
    ("failed", 12, f'ERROR: {_OBSERVER} Failed to create phases {{"appointment_id":#######,"trace":"#0 /app/Käse.php(87)'),
    ("disabled", 3, f'INFO: {_OBSERVER} Skipped {{"features.processing_time_auto_create_phases":false}} '),
    ("critical", 5, 'CRITICAL: Disk almost full {"free_mb":####} '),
)  # fmt: skip
"""Kind, weight, what follows the channel. A ``#`` is a digit."""
_CHATTER: tuple[tuple[int, str], ...] = (
    (20, 'INFO: 🔐 User logged in {"user_id":#######,"ip":"10.0.##.##","agent":"Mozilla/5.0 (X11; Linux x86_64; rv:##.0) Gecko/20100101 Firefox/##.0"} '),
    (20, 'INFO: Terminbestätigung verschickt {"appointment_id":#######,"channel":"mail","to":"kunde-#######@beispiel.de"} '),
    (10, "DEBUG: [Scheduler] Running scheduled command: queue:prune-failed --hours=48 >> storage/logs/prüfung.log"),
    (20, 'WARNING: ⚠️ Slow query {"connection":"mysql","time_ms":####,"sql":"select * from `services` inner join `companies` on `companies`.`id` = `services`.`company_id` where `services`.`id` = ### and `active` = 1"} '),
    (3, 'WARNING: Payment provider answered with error 402 {"payment_id":#######} '),
    (10, 'INFO: Invoice exported {"invoice_id":#######,"note":"previous export failed","amount":"##,## €"} '),
    (4, 'INFO: SyncAppointmentToCalcomJob: appointment sync success {"appointment_id":#######} '),
    (60, 'DEBUG: Request {"method":"GET","path":"/api/v1/availability/###/2026-03-16","status":200,"ms":##,"user_id":#######,"referer":"https://buchen.beispiel.de/salon/münchen-mitte/termin","request_id":"########-####-4###-8###-############"} '),
    (18, 'ERROR: Undefined array key "slot" {"exception":"[object] (ErrorException(code: 0): Undefined array key at ####'),
)  # fmt: skip
"""Weight, what follows the channel."""
_TRACE = (
    "[stacktrace]",
    "#0 /var/www/booking/vendor/laravel/framework/src/Illuminate/Foundation/Bootstrap/HandleExceptions.php(255): handleError(2, '...')",
    "#1 /var/www/booking/app/Http/Controllers/SlotController.php(55): Illuminate\\Foundation\\Bootstrap\\HandleExceptions->{closure}(2, 'Undefined ...')",
    "#2 /var/www/booking/vendor/laravel/framework/src/Illuminate/Routing/ControllerDispatcher.php(46): App\\Http\\Controllers\\SlotController->index(Object)",
    "#3 /var/www/booking/vendor/laravel/framework/src/Illuminate/Pipeline/Pipeline.php(183): Illuminate\\Routing\\{closure}(Object(Illuminate\\Http\\Request))",
    "#4 /var/www/booking/vendor/laravel/framework/src/Illuminate/Routing/Middleware/SubstituteBindings.php(50): Illuminate\\Pipeline\\{closure}()",
    "#5 /var/www/booking/public/index.php(52): Illuminate\\Foundation\\Http\\Kernel->handle(Object(Illuminate\\Http\\Request))",
    '#6 {main}"} ',
)  # fmt: skip
_OWN_TRACE = (
    "#1 /var/www/booking/app/Observers/AppointmentPhaseObserver.php(41): createPhasesForAppointment(Object)",
    "#2 Illuminate\\Events\\Dispatcher->dispatch() // AppointmentPhaseObserver: Failed",
    '#3 {main}"} ',
)
"""Its second line holds the rule's text, but is no record; the guide's grep counts it as well."""


@dataclass(frozen=True)
class Log:
    """A log file, its first second, and how many records of each kind it holds. Every kind of sync success counts."""

    path: Path
    start: datetime
    counts: Counter[str]
    duration_total: float


def make(path: Path, size: int, end: datetime = END) -> Log:
    """Write a log of about ``size`` bytes up to an instant, unless it is there; the same every time."""
    blocks = [_Block(Random(f"block {i}")) for i in range(_BLOCKS)]
    seconds = size * _BLOCKS // sum(len(block.text) for block in blocks)
    order = Random(seconds).choices(blocks, k=seconds)
    start = end - timedelta(seconds=seconds)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        with partial.open("wb", buffering=1 << 22) as file:
            for i, block in enumerate(order):
                stamp = (start + timedelta(seconds=i)).strftime("%Y-%m-%d %H:%M:%S").encode()
                file.write(block.text.replace(_TIME, stamp).replace(_ID, b"%07d" % i))
        partial.rename(path)
    counts: Counter[str] = Counter()
    for block, times in Counter(order).items():
        for kind, count in block.counts.items():
            counts[kind] += count * times
    return Log(path, start, counts, sum(block.duration for block in order))


class _Block:
    """The records of one second."""

    def __init__(self, rng: Random) -> None:
        self.counts: Counter[str] = Counter()
        self.duration = 0.0
        lines = [line for _ in range(_RECORDS) for line in self._record(rng)]
        self.text = b"".join(_filled(line, rng).encode() + b"\n" for line in lines)

    def _record(self, rng: Random) -> Iterator[str]:
        head = f"[{_TIME.decode()}] production."
        if rng.random() < 0.085:
            ((kind, _, text),) = rng.choices(_RELEVANT, [weight for _, weight, _ in _RELEVANT])
            self.counts[kind] += 1
            if kind == "created":
                duration = rng.randrange(500, 9000) / 100
                self.duration += duration
                text = text.replace("%s", str(duration))
            yield head + text
            yield from _OWN_TRACE if kind == "failed" else ()
        else:
            ((_, text),) = rng.choices(_CHATTER, [weight for weight, _ in _CHATTER])
            yield head + text
            yield from _TRACE if text.startswith("ERROR") else ()


def _filled(line: str, rng: Random) -> str:
    """Single digits for ``#``; the long ids come with the time."""
    if line.startswith("#"):  # a trace's line numbers
        return line
    pieces = line.split(_ID.decode())
    return _ID.decode().join(
        "".join(str(rng.randrange(10)) if c == "#" else c for c in piece) for piece in pieces
    )
