# SPDX-License-Identifier: MIT
"""The application's feature flags, read from its ``.env``, and whom they let use processing time.

Only the keys ``FEATURE_PROCESSING_TIME_…`` are looked at; whatever else the file holds is forgotten at once.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from dotenv import dotenv_values

from processing_time.model import SourceUnavailable

PREFIX = "FEATURE_PROCESSING_TIME_"
# What Laravel's env() makes of a text; "off" and "no" are refused because PHP takes them for true.
_TRUE = frozenset({"true", "(true)", "1", "on", "yes"})
_FALSE = frozenset({"false", "(false)", "0", "", "empty", "(empty)", "null", "(null)"})


class _Service(Protocol):
    @property
    def id(self) -> int | str: ...

    @property
    def company_id(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class FeatureFlags:
    """The flags with the application's defaults; ``configured`` is False when no ``.env`` was named.

    ``service_whitelist`` holds ids as text (numbers or UUIDs, in small letters), ``company_whitelist`` numbers.
    """

    configured: bool = False
    enabled: bool = False
    service_whitelist: frozenset[str] = frozenset()
    company_whitelist: frozenset[int] = frozenset()
    auto_create_phases: bool = True
    show_ui: bool = True
    calcom_sync: bool = True

    def to_json(self) -> dict[str, Any]:
        """Plain values, whitelists in order, so that equal flags give equal JSON."""
        return asdict(self) | {
            "service_whitelist": sorted(self.service_whitelist),
            "company_whitelist": sorted(self.company_whitelist),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FeatureFlags:
        """The inverse of :meth:`to_json`."""
        return cls(
            **{
                **data,
                "service_whitelist": frozenset(data["service_whitelist"]),
                "company_whitelist": frozenset(data["company_whitelist"]),
            }
        )


def read(env_file: Path | None) -> FeatureFlags:
    """The flags in a ``.env``; a key that is missing has the application's default.

    :param env_file: ``None`` when the installation names none: every service with processing time counts then.
    :raises SourceUnavailable: when the file cannot be read, or one of its flags cannot be understood.
    """
    if env_file is None:
        return FeatureFlags()
    values = _values(env_file)
    return FeatureFlags(
        configured=True,
        enabled=_boolean(values, "ENABLED", default=False),
        service_whitelist=_services(values, "SERVICE_WHITELIST"),
        company_whitelist=_numbers(values, "COMPANY_WHITELIST"),
        auto_create_phases=_boolean(values, "AUTO_PHASES", default=True),
        show_ui=_boolean(values, "SHOW_UI", default=True),
        calcom_sync=_boolean(values, "CALCOM_SYNC", default=True),
    )


def eligible(service: _Service, flags: FeatureFlags) -> bool:
    """Whether the flags let a service that has processing time use it, by the application's own rule."""
    if not flags.configured:
        return True
    if not flags.enabled:
        return str(service.id).lower() in flags.service_whitelist
    return not flags.company_whitelist or service.company_id in flags.company_whitelist


def _values(env_file: Path) -> dict[str, str]:
    """The flags of the file as text by their key without the prefix."""
    try:
        text = env_file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SourceUnavailable(
            f"application.env_file = {env_file} cannot be read ({error.strerror}): mount the application's .env"
            " there, readable for Airflow, or set it to null"
        ) from None
    except UnicodeDecodeError:
        raise SourceUnavailable(
            f"application.env_file = {env_file} is not a text file in UTF-8: name the application's .env"
        ) from None
    parsed = dotenv_values(stream=io.StringIO(text), interpolate=False)
    for key in re.findall(rf"^\s*(?:export\s+)?({PREFIX}\w+)\s*=", text, re.MULTILINE):
        if key not in parsed:
            # The parser drops a line that it cannot read; a default in its place would be made up.
            raise _nonsense(key, "cannot be read: close its quotes and those of the lines above it")
    return {
        k.removeprefix(PREFIX): v.strip() for k, v in parsed.items() if k.startswith(PREFIX) and v is not None
    }


def _boolean(values: Mapping[str, str], key: str, *, default: bool) -> bool:
    text = values.get(key)
    if text is None:
        return default
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise _nonsense(
        PREFIX + key, f"= {text[:40]!r} is neither true nor false for Laravel: write true or false"
    )


def _items(values: Mapping[str, str], key: str) -> list[str]:
    text = values.get(key, "")
    if text.lower() in ("empty", "(empty)", "null", "(null)"):
        return []
    return [item.strip() for item in text.split(",") if item.strip()]


def _services(values: Mapping[str, str], key: str) -> frozenset[str]:
    items = _items(values, key)
    for item in items:
        if re.search("[#$]", item):
            # For Laravel a comment begins there, or another variable: it lists another service than is read here.
            raise _nonsense(
                PREFIX + key, f"holds {item[:40]!r}: write service ids with commas, such as 12,15"
            )
    return frozenset(item.lower() for item in items)


def _numbers(values: Mapping[str, str], key: str) -> frozenset[int]:
    items = _items(values, key)
    for item in items:
        if not re.fullmatch(r"[0-9]{1,19}", item):
            raise _nonsense(
                PREFIX + key, f"holds {item[:40]!r}: write company ids with commas, such as 1,5,12"
            )
    # The application drops zeros: its array_filter does.
    return frozenset(int(item) for item in items) - {0}


def _nonsense(key: str, fault: str) -> SourceUnavailable:
    return SourceUnavailable(f"{key} {fault} (in the file that application.env_file names)")
