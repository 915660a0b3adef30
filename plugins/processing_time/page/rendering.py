# SPDX-License-Identifier: MIT
"""From data to HTML: the templates in include/templates/page, with nothing loaded from anywhere else."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment

from processing_time import templates
from processing_time.page import charts, words
from processing_time.settings import ROOT

TEMPLATES = ROOT / "include" / "templates" / "page"


def render(template: str, *, target: str = "", **values: Any) -> str:
    """A page of the status page.

    :param template: ``overview.html``, ``companies.html``, ``reports.html``, ``broken.html``; with several applications
        ``targets.html`` and ``missing.html`` as well.
    :param target: whose page it is; empty where there is one application, and for the list of all.
    """
    return _environment().get_template(template).render(target=target, **values)


@cache
def _environment() -> Environment:
    environment = templates.environment(TEMPLATES)
    environment.globals.update(line=charts.line, hourly=charts.hourly, sign=words.SIGNS, word=words.word)
    return environment
