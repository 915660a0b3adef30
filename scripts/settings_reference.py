# SPDX-License-Identifier: MIT
"""The tables of docs/settings.md, from the model: `make settings-docs`.

Keys, defaults and what each takes come from the classes in `processing_time.settings` and from include/monitoring.yaml, the
meaning from the text below each field. What is written between the tables is the page's own.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import yaml
from pydantic import AwareDatetime, BaseModel

from processing_time import settings_incident, settings_reports, settings_targets, settings_types
from processing_time.settings import SHIPPED, LogRule, Metric, Settings

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
HEAD = "| key | default | takes | meaning |\n| --- | --- | --- | --- |\n"
TABLE = re.compile(r"^(<!-- settings: (\w+) -->\n\n)(?:\|.*\n)+", re.MULTILINE)
_NAMED = {
    settings_types.Duration: "duration",
    settings_types.Zone: "time zone",
    settings_types.Pattern: "pattern",
    settings_types.Identifier: "column name",
    settings_types.ChannelId: "channel id, `C…`",
    settings_types.UserId: "user id, `U…`",
    settings_types.Mention: "mention",
    settings_types.Cron: "cron, five fields",
    settings_reports.Mondays: "cron, five fields",
    settings_reports.Html: "folder",
    settings_reports.Address: "address",
    settings_incident.AirflowUser: "user id of Airflow",
    settings_targets.ConnectionId: "connection id",
    str: "text",
    bool: "`true` or `false`",
    int: "whole number",
    float: "number",
    Path: "path",
    AwareDatetime: "time with offset",
    timedelta: "duration",
}


class Setting(NamedTuple):
    """A row: the dotted key (``<key>`` for a name that users choose), and what is said about it."""

    path: str
    default: str
    takes: str
    meaning: str


def refreshed(page: str) -> str:
    """A text of docs/settings.md with its tables made anew.

    :raises KeyError: when the page asks for a section that there is not.
    :raises LookupError: when a setting has no meaning.
    """
    tables: dict[str, list[Setting]] = {}
    for setting in every_setting():
        tables.setdefault(setting.path.split(".")[0] if "." in setting.path else "general", []).append(
            setting
        )
    return TABLE.sub(lambda found: found[1] + HEAD + "".join(map(_row, tables[found[2]])), page)


def every_setting() -> list[Setting]:
    """All settings in the model's order; what log rules share with metrics stands with the metrics."""
    shipped = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    shared = {f"log_rules.<key>.{name}" for name in LogRule.model_fields.keys() & Metric.model_fields.keys()}
    return [setting for setting in _settings(Settings, shipped) if setting.path not in shared]


def _settings(
    model: type[BaseModel], shipped: Any, prefix: str = "", optional: bool = False
) -> Iterator[Setting]:
    hints, meanings = get_type_hints(model, include_extras=True), _meanings(model)
    for name, field in model.model_fields.items():
        key = field.alias or name
        hint, path, value = hints[name], prefix + key, shipped.get(key) if isinstance(shipped, dict) else None
        if section := _section(hint):
            named = f"{path}.<key>." if get_origin(hint) is dict else f"{path}."
            yield from _settings(section, value, named, optional or not (field.is_required() or value))
            continue
        if isinstance(shipped, dict) and key in shipped:
            default = _shown(value)
        elif field.is_required():
            default = "–" if optional else "required"
        else:
            default = _shown(field.get_default())
        if name not in meanings:
            raise LookupError(
                f"{path} has no meaning: write it as a text below the field in {model.__module__}"
            )
        yield Setting(path, default, _takes(hint), meanings[name])


def _section(hint: Any) -> type[BaseModel] | None:
    """The class of the settings below, where there are any: itself, in a list, in a mapping, or none."""
    inside = [hint, *get_args(hint)]
    return next((a for a in inside if isinstance(a, type) and issubclass(a, BaseModel)), None)


def _meanings(model: type[BaseModel]) -> dict[str, str]:
    """The text below each field of a class and of those that it extends."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__[:-1]):
        if base is BaseModel or not issubclass(base, BaseModel):
            continue
        (body,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(
                    value=ast.Constant(value=str(meaning))
                ):
                    found[name] = " ".join(meaning.split())
    return found


def _takes(hint: Any) -> str:
    if hint in _NAMED:
        return _NAMED[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _takes(arguments[0])
    if origin is Literal:
        return ", ".join(f"`{_plain(value)}`" for value in arguments)
    if origin in (Union, UnionType):
        return " or ".join(_takes(a) for a in arguments if a is not NoneType)
    if origin is tuple:
        return f"list: {_takes(arguments[0])}"
    if origin is dict:
        return "mapping"
    return ", ".join(f"`{_plain(member)}`" for member in hint)  # an enumeration


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "see the file"
    if isinstance(value, list | tuple):
        return ", ".join(f"`{_plain(item)}`" for item in value) or "`[]`"
    return f"`{_plain(value)}`" if value != "" else "empty"


def _row(setting: Setting) -> str:
    takes = setting.takes.replace("|", "\\|")
    return f"| `{setting.path}` | {setting.default} | {takes} | {setting.meaning} |\n"


if __name__ == "__main__":
    PAGE.write_text(refreshed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
