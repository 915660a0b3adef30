# SPDX-License-Identifier: MIT
"""What may be told of an error whose text nobody has read: codes, classes and places, never the text.

The text of an error may quote a row, and with it a customer. Removing names from free text does not work reliably, so
nothing is removed: what is known to be harmless is picked out.
"""

from __future__ import annotations

import re

_STATUS = re.compile(r"\b(?:answered|HTTP(?:/[0-9.]{1,3})?|[Ss]tatus(?: code)?|code)[:=]? ?([45][0-9]{2})\b")
_CODE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*|[0-9]{1,5}")
_SQLSTATE = re.compile(r"SQLSTATE\[(\w{5})\](?:: [^:]{0,60}: (\d{4})\b)?")
_CURL = re.compile(r"cURL error (\d{1,3})\b")
_CLASS = re.compile(r"\b(?:[A-Z]\w*\\{1,2})*[A-Z]\w{2,60}(?:Exception|Error)\b")
_THROTTLED = ("429", "RATE_LIMIT", "TOO_MANY_REQUESTS", "THROTTL")
#: Fixed texts of the database and of PHP that carry no code in a log, and what to call them.
_PHRASES = {
    "Deadlock found when trying to get lock": "deadlock (1213)",
    "Lock wait timeout exceeded": "lock wait timeout (1205)",
    "server has gone away": "server gone away (2006)",
    "Maximum execution time": "PHP time limit",
    "Allowed memory size": "PHP memory limit",
    "Too Many Requests": "429",
    "timed out": "timed out",
}


def of_sync(code: str | None, text: str | None) -> str:
    """A failed sync in a word: the application's own code, else an HTTP status or another known code in the text."""
    if code and len(code) <= 40 and _CODE.fullmatch(code):
        return code
    found = _STATUS.search(text or "")
    return found[1] if found else kind(text or "") or "other"


def throttled(code: str) -> bool:
    """Whether Cal.com asked to be asked less."""
    return any(sign in code for sign in _THROTTLED)


def kind(text: str) -> str:
    """The codes and classes in a text, the most telling first; empty when it holds none that is known."""
    if sql := _SQLSTATE.search(text):
        return f"SQLSTATE {sql[1]}" + (f", error {sql[2]}" if sql[2] else "")
    if curl := _CURL.search(text):
        return f"cURL error {curl[1]}"
    phrase = next((name for phrase, name in _PHRASES.items() if phrase in text), "")
    cls = _CLASS.search(text)
    return phrase or (cls[0].replace("\\\\", "\\") if cls else "")
