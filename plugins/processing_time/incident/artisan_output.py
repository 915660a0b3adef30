# SPDX-License-Identifier: MIT
"""The end of a command's output, fit for an audit row: short, one line a line, without secrets and personal data.

Patterns find what has a shape: addresses, numbers of phones, values of keys, keys, quoted texts, statements. A name in running
text has none; the commands that we run do not write any.
"""

from __future__ import annotations

import re

LINES = 10
WIDTH = 200

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_RULES = (
    # Laravel appends the statement with its values to what the database said.
    (re.compile(r"\((?:Connection:[^)]*?, )?SQL:.*", re.IGNORECASE), "(SQL …"),
    (re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE), "…"),
    (re.compile(r"[^\s@<>()\"']+@[^\s@<>()\"']+"), "…"),
    (re.compile(r"\b(?:bearer|basic|base64:)\s*\S+", re.IGNORECASE), "…"),
    (re.compile(r"([\"'])(?:(?!\1).)*\1"), "'…'"),
    (
        re.compile(
            r"\b([\w.-]*(?:key|token|secret|passw|pwd|auth|credential)[\w.-]*)(\s*[=:]\s*|\s+)\S+",
            re.IGNORECASE,
        ),
        r"\1\2…",
    ),
    (re.compile(rf"({_UUID})|\+?[0-9](?:[ ()/.-]{{0,2}}[0-9]){{6,}}"), lambda m: m[1] or "…"),
    (re.compile(rf"({_UUID})|[A-Za-z0-9+/=_-]{{24,}}"), lambda m: m[1] or "…"),
)


def tail(output: bytes) -> str:
    """The last lines of an output that are not empty, each cut to a width."""
    text = _ANSI.sub("", output.decode("utf-8", "replace"))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "\n".join(_scrubbed(line)[:WIDTH] for line in lines[-LINES:])


def _scrubbed(line: str) -> str:
    for pattern, replacement in _RULES:
        line = pattern.sub(replacement, line)
    return line
