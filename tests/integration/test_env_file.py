# SPDX-License-Identifier: MIT
"""The edit of the application's ``.env``: the values and nothing else, for any file that Laravel can read.

The edit is PHP, because it runs where the application does; a PHP process answers for as many files as Hypothesis likes.
"""

from __future__ import annotations

import base64
import io
import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from dotenv import dotenv_values
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.laravel import PHP, PROJECT, needs_laravel

pytestmark = needs_laravel

ENABLED, SERVICES = "FEATURE_PROCESSING_TIME_ENABLED", "FEATURE_PROCESSING_TIME_SERVICE_WHITELIST"

_LOOP = """
define('PROCESSING_TIME_FUNCTIONS', true);
require '/usr/share/php/Dotenv/autoload.php';
require $argv[1];
while (($line = fgets(STDIN)) !== false) {
    $asked = json_decode($line, true);
    try {
        $edited = edited(base64_decode($asked['content']), $asked['values']);
        $answer = ['edited' => base64_encode($edited), 'parsed' => parsed($edited)];
    } catch (Refusal $refusal) {
        $answer = ['refused' => $refusal->getMessage()];
    }
    echo json_encode($answer, JSON_INVALID_UTF8_SUBSTITUTE), "\\n";
}
"""


class Php:
    """A PHP process with the functions of include/artisan/processing_time.php."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def edit(self, content: bytes, values: dict[str, str]) -> dict[str, Any]:
        """The edited file and what Laravel's parser finds in it, or why it was refused."""
        assert self._process.stdin
        assert self._process.stdout
        asked = {"content": base64.b64encode(content).decode(), "values": values}
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        if "edited" in answer:
            answer["edited"] = base64.b64decode(answer["edited"])
        return answer


@pytest.fixture(scope="module")
def php() -> Iterator[Php]:
    line = [PHP, "-r", _LOOP, str(PROJECT / "include" / "artisan" / "processing_time.php")]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Php(process)
        assert process.stdin
        process.stdin.close()


ends = st.sampled_from(["\n", "\r\n"])
others = st.sampled_from(
    [
        "",
        "  # a comment with FEATURE_PROCESSING_TIME_ENABLED=true in it",
        "APP_NAME=Booking",
        "APP_KEY=base64:c3RhbmQtaW4=",
        'DB_PASSWORD="it\'s # \\"secret\\" \\$"',
        "MAIL='a # b'   # why",
        "export EMPTY=",
        "FEATURE_PROCESSING_TIME_ENABLED_SINCE=2026",
        "MY_FEATURE_PROCESSING_TIME_ENABLED=x",
        "NAME=Grüße",
    ]
)
flag_lines = st.tuples(
    st.sampled_from([ENABLED, SERVICES]),
    st.sampled_from(["", "export ", "  ", "\texport\t"]),
    st.sampled_from(["=", " = ", "=  "]),
    st.sampled_from(["", '"', "'"]),
    st.sampled_from(["", "true", "12,15", "1"]),
    st.sampled_from(["", "  ", " # why", "#why"]),
)
files = st.tuples(st.lists(st.one_of(others, flag_lines), max_size=8), ends, st.booleans())
texts = st.fixed_dictionaries(
    {ENABLED: st.sampled_from(["true", "false"]), SERVICES: st.sampled_from(["", "7", "7,8", "7, 8"])}
)


@settings(max_examples=300)
@given(file=files, values=texts)
def test_nothing_but_the_values_changes(php: Php, file: Any, values: dict[str, str]) -> None:
    lines, end, ended = file
    old, new, there = [], [], set()
    for line in lines:
        if isinstance(line, str):
            old.append(line)
            new.append(line)
            continue
        key, before, equals, quote, value, after = line
        there.add(key)
        if not quote and not value:
            equals = equals.rstrip()  # the blanks would be those before the comment
        needed = quote or ('"' if " " in values[key] else "")
        old.append(f"{before}{key}{equals}{quote}{value}{quote}{after}")
        new.append(f"{before}{key}{equals}{needed}{values[key]}{needed}{after}")
    content = end.join(old) + end * (ended and bool(old))
    wanted = end.join(new) + end * (ended and bool(old))
    missing = [key for key in values if key not in there]
    if missing:
        # A file of one line without an end does not say which ends it has.
        end = end if end in content else "\n"
        if wanted and not wanted.endswith(end):
            wanted += end
        for key in missing:
            quote = '"' if " " in values[key] else ""
            wanted += f"{key}={quote}{values[key]}{quote}{end}"

    answer = php.edit(content.encode(), values)

    assert answer["edited"].decode() == wanted
    assert {key: answer["parsed"][key] for key in values} == values
    if "#why" not in wanted:  # a comment without a blank before it: the monitor's parser takes it for a value
        read = dotenv_values(stream=io.StringIO(wanted, newline=""), interpolate=False)
        assert {key: read[key] for key in values} == values
    assert php.edit(answer["edited"], values)["edited"] == answer["edited"]


@pytest.mark.parametrize(
    "line",
    [
        f"{ENABLED}=${{OTHER}}",
        f'{ENABLED}="$OTHER"',
        f'{ENABLED}="a\\"b"',
        f'{ENABLED}="a',
        f"{ENABLED}=a b",
        f"{ENABLED}='a' b",
        f"{ENABLED}=a\\",
        f'{ENABLED}=a"b"',
    ],
)
def test_a_value_that_is_more_than_a_value_is_left_to_people(php: Php, line: str) -> None:
    refused = php.edit(f"A=1\n{line}\n".encode(), {ENABLED: "false"})["refused"]
    assert refused == f"line 2 of .env sets {ENABLED} in a way that is not safe to change: edit it by hand"


@pytest.mark.parametrize("value", ["$X", 'a"b', "a'b", "a\\b", "a\nb", "a#b", "a`b`"])
def test_a_value_that_would_need_more_than_quotes_is_not_written(php: Php, value: str) -> None:
    refused = php.edit(b"A=1\n", {SERVICES: value})["refused"]
    assert "not safe to write again" in refused
    assert value not in refused


def test_a_byte_order_mark_and_bytes_that_are_no_text_stay(php: Php) -> None:
    content = b"\xef\xbb\xbf" + ENABLED.encode() + b"=true\rA=\xff\r"
    answer = php.edit(content, {ENABLED: "false"})
    assert answer["edited"] == content.replace(b"true", b"false")
    assert answer["parsed"][ENABLED] == "false"
