# SPDX-License-Identifier: MIT
"""A report as one HTML file that needs nothing else: style and charts are inside, nothing is loaded, nothing runs."""

from __future__ import annotations

import base64

from processing_time import templates
from processing_time.reports.document import Answer, Checklist, Judgement, Report, Table
from processing_time.reports.language import TEMPLATES, Language

_SIGNS = {Answer.YES: "✓", Answer.NO: "✗", Answer.UNKNOWN: "?", Answer.OPEN: "☐"}
_ARROWS = {Judgement.GOOD: "✓", Judgement.BAD: "✗", Judgement.NEUTRAL: ""}


def render(report: Report, language: Language) -> str:
    """The page of a report."""
    environment = templates.environment(TEMPLATES)
    environment.tests.update(
        table=lambda part: isinstance(part, Table), checklist=lambda part: isinstance(part, Checklist)
    )
    return environment.get_template("report.html").render(
        report=report, say=language.say, data_uri=_data_uri, signs=_SIGNS, arrows=_ARROWS
    )


def _data_uri(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
