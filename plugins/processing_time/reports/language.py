# SPDX-License-Identifier: MIT
"""How a report speaks: its texts, numbers, dates and weekdays in English or German.

The texts in the code are English; ``include/templates/de.po`` holds the German ones. Names from the application's data
are not translated.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

from processing_time.settings import ROOT

TEMPLATES = ROOT / "include" / "templates"
MINUS = "−"


class Language:
    """A language, and the zone in which instants are told.

    :param code: ``en`` or ``de``.
    """

    def __init__(self, code: str, zone: ZoneInfo) -> None:
        self.code, self._zone = code, zone
        # British dates: the day before the month, as everywhere else in the project.
        self._locale = Locale.parse({"en": "en_GB"}.get(code, code))

    def say(self, text: str, /, **values: object) -> str:
        """A text of the code in this language, its ``{names}`` filled in."""
        return self._translated(text).format(**values)

    def remark(self, text: str) -> str:
        """What the evaluation says of a figure, as a sentence."""
        known, bracket, detail = text.partition(" (")
        told = self._translated(known) + bracket + detail
        return told[:1].upper() + told[1:] + "."

    def count(self, one: str, many: str, number: int, /, **values: object) -> str:
        """A text about a number, ``{n}``, in its singular or plural."""
        return self.say(one if number == 1 else many, n=self.number(number), **values)

    def number(self, value: float, digits: int = 0) -> str:
        """A number with that many digits behind the point and a real minus."""
        pattern = "#,##0" + ("." + "0" * digits if digits else "")
        # Not -0, which a small negative number would round to.
        text: str = format_decimal(round(value, digits) + 0.0, format=pattern, locale=self._locale)
        return text.replace("-", MINUS)

    def signed(self, value: float, digits: int = 0) -> str:
        """The same with its sign, ``±0`` for none."""
        rounded = round(value, digits)
        return ("+" if rounded > 0 else "" if rounded < 0 else "±") + self.number(value, digits)

    def quantity(self, value: float, unit: str, digits: int = 0, *, signed: bool = False) -> str:
        """A number and its unit, kept together on one line."""
        return (
            f"{self.signed(value, digits) if signed else self.number(value, digits)}\u00a0{self.unit(unit)}"
        )

    def unit(self, unit: str) -> str:
        """The name of a unit from the settings, where it is a word."""
        return self._translated(unit)

    def day(self, day: date) -> str:
        """A day with its weekday: ``Mon 16 Nov``, ``Mo. 16. Nov.``."""
        pattern = "EEE d. MMM" if self.code == "de" else "EEE d MMM"
        return str(format_date(day, pattern, locale=self._locale))

    def full_date(self, day: date) -> str:
        """A date with its year: ``16 Nov 2026``."""
        return str(format_date(day, "medium", locale=self._locale))

    def month(self, day: date, *, short: bool = False) -> str:
        """A month with its year: ``November 2026``, short ``Nov 26``."""
        return str(format_date(day, "LLL yy" if short else "LLLL y", locale=self._locale))

    def weekday(self, day: date) -> str:
        """A short weekday and the day of the month, for an axis: ``Mon 16``."""
        return str(format_date(day, "EEE d." if self.code == "de" else "EEE d", locale=self._locale))

    def period(self, first: date, last: date) -> str:
        """The days from a first to a last one."""
        return f"{self.full_date(first)} – {self.full_date(last)}"

    def clock(self, instant: datetime) -> str:
        """A weekday, day and time in the zone."""
        pattern = "EEE d. MMM HH:mm" if self.code == "de" else "EEE d MMM HH:mm"
        return str(format_datetime(instant, pattern, tzinfo=self._zone, locale=self._locale))

    def elapsed(self, length: timedelta) -> str:
        """A stretch of time in its two largest units: ``2 d 4 h``, ``5 min``."""
        minutes = int(length.total_seconds()) // 60
        sizes = ((minutes // 1440, "d"), (minutes // 60 % 24, "h"), (minutes % 60, "min"))
        parts = [f"{number}\u00a0{self.unit(unit)}" for number, unit in sizes if number]
        return " ".join(parts[:2]) or self.say("under a minute")

    def _translated(self, text: str) -> str:
        if self.code == "en":
            return text
        message = _catalog(self.code).get(text)
        return str(message.string) if message and message.string else text


@cache
def _catalog(code: str) -> Catalog:
    with (TEMPLATES / f"{code}.po").open("rb") as file:
        return read_po(file, locale=code)
