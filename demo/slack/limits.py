# SPDX-License-Identifier: MIT
"""Slack's limits on blocks and metadata, with the complaints that Slack makes about them.

The figures are those of Slack's reference for Block Kit and chat.postMessage. Two are not published: the limit
on the text of all blocks (observed between 13,100 and 13,300 characters) and the size of metadata (assumed).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

MAX_BLOCKS = 50
MAX_TEXT = 40_000
MAX_TEXT_OF_UPDATE = 4_000
MAX_TEXT_OF_BLOCKS = 13_200
MAX_METADATA = 8_000
MAX_ALT = 1_000

Complaints = Iterator[str]


def complaints_about_blocks(blocks: list[Any]) -> list[str]:
    """What Slack would object to in `blocks`, in its words: "must be less than … [json-pointer:/blocks/…]"."""
    found = []
    if len(blocks) > MAX_BLOCKS:
        found.append(f"no more than {MAX_BLOCKS} items allowed [json-pointer:/blocks]")
    identifiers: set[str] = set()
    for index, block in enumerate(blocks):
        path = f"/blocks/{index}"
        if not isinstance(block, dict):
            found.append(f"must be an object [json-pointer:{path}]")
            continue
        found += _block_id(block, path, identifiers)
        check = _BLOCKS.get(str(block.get("type")))
        found += (
            check(block, path)
            if check
            else [f"unsupported type: {block.get('type')} [json-pointer:{path}/type]"]
        )
    return found


def text_length(blocks: list[Any]) -> int:
    """Characters of all texts in `blocks` together."""
    return sum(len(text) for text in _texts(blocks))


def metadata_error(metadata: Any) -> str | None:
    """The error code for message metadata that Slack would refuse, else None."""
    if not isinstance(metadata, dict):
        return "invalid_metadata_format"
    payload = metadata.get("event_payload")
    if not isinstance(metadata.get("event_type"), str) or not isinstance(payload, dict):
        return "invalid_metadata_schema"
    if not metadata["event_type"] or not all(_payload_value(value) for value in payload.values()):
        return "invalid_metadata_schema"
    return "metadata_too_large" if len(json.dumps(metadata)) > MAX_METADATA else None


def _payload_value(value: Any) -> bool:
    return isinstance(value, str | int | float) or all(
        isinstance(entry, dict) and all(isinstance(leaf, str | int | float) for leaf in entry.values())
        for entry in (value if isinstance(value, list) else [value])
    )


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if isinstance(value, str) and key in ("text", "alt_text"):
                yield value
            else:
                yield from _texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _texts(value)


def _block_id(block: dict[str, Any], path: str, seen: set[str]) -> Complaints:
    identifier = block.get("block_id")
    if identifier is None:
        return
    if not isinstance(identifier, str) or len(identifier) > 255:
        yield f"must be less than 256 characters [json-pointer:{path}/block_id]"
    elif identifier in seen:
        yield f"block_id {identifier} already exists [json-pointer:{path}/block_id]"
    else:
        seen.add(identifier)


def _section(block: dict[str, Any], path: str) -> Complaints:
    if "text" not in block and "fields" not in block:
        yield f"missing required field: text [json-pointer:{path}]"
    if "text" in block:
        yield from _text(block["text"], f"{path}/text", 3_000)
    if "fields" in block:
        yield from _items(block["fields"], f"{path}/fields", 10, lambda entry, at: _text(entry, at, 2_000))
    if "accessory" in block:
        yield from _element(block["accessory"], f"{path}/accessory")


def _header(block: dict[str, Any], path: str) -> Complaints:
    yield from _text(block.get("text"), f"{path}/text", 150, plain=True)


def _context(block: dict[str, Any], path: str) -> Complaints:
    yield from _items(block.get("elements"), f"{path}/elements", 10, _context_element)


def _context_element(entry: Any, path: str) -> Complaints:
    if isinstance(entry, dict) and entry.get("type") == "image":
        yield from _image(entry, path)
    else:
        yield from _text(entry, path, 3_000)


def _actions(block: dict[str, Any], path: str) -> Complaints:
    yield from _items(block.get("elements"), f"{path}/elements", 25, _element)
    elements = block.get("elements")
    identifiers = [entry.get("action_id") for entry in elements or () if isinstance(entry, dict)]
    for identifier in {name for name in identifiers if name and identifiers.count(name) > 1}:
        yield f"action_id {identifier} already exists [json-pointer:{path}/elements]"


def _image(block: dict[str, Any], path: str) -> Complaints:
    yield from _string(block.get("alt_text"), f"{path}/alt_text", 2_000)
    if "slack_file" not in block:
        yield from _url(block.get("image_url"), f"{path}/image_url")
    if "title" in block:
        yield from _text(block["title"], f"{path}/title", 2_000, plain=True)


def _divider(block: dict[str, Any], path: str) -> Complaints:
    for extra in sorted(set(block) - {"type", "block_id"}):
        yield f"no more properties allowed: {extra} [json-pointer:{path}]"


def _element(element: Any, path: str) -> Complaints:
    if not isinstance(element, dict):
        yield f"must be an object [json-pointer:{path}]"
    elif element.get("type") == "image":
        yield from _image(element, path)
    elif element.get("type") == "button":
        yield from _text(element.get("text"), f"{path}/text", 75, plain=True)
        if "url" in element:
            yield from _url(element["url"], f"{path}/url")
        for name, limit in (("value", 2_000), ("action_id", 255)):
            if name in element:
                yield from _string(element[name], f"{path}/{name}", limit)
        if element.get("style", "primary") not in ("primary", "danger"):
            yield f"must be one of: primary, danger [json-pointer:{path}/style]"
    else:
        yield f"unsupported type: {element.get('type')} [json-pointer:{path}/type]"


def _text(text: Any, path: str, limit: int, *, plain: bool = False) -> Complaints:
    if not isinstance(text, dict):
        yield f"missing required field: text [json-pointer:{path}]"
    elif text.get("type") not in (("plain_text",) if plain else ("plain_text", "mrkdwn")):
        yield f"failed to match all allowed schemas [json-pointer:{path}]"
    else:
        yield from _string(text.get("text"), f"{path}/text", limit)


def _string(text: Any, path: str, limit: int) -> Complaints:
    if not isinstance(text, str) or not text:
        yield f"must be more than 0 characters [json-pointer:{path}]"
    elif len(text) > limit:
        yield f"must be less than {limit + 1} characters [json-pointer:{path}]"


def _url(url: Any, path: str) -> Complaints:
    yield from _string(url, path, 3_000)
    if isinstance(url, str) and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc):
        yield f"invalid url [json-pointer:{path}]"


def _items(items: Any, path: str, limit: int, check: Callable[[Any, str], Complaints]) -> Complaints:
    if not isinstance(items, list) or not items:
        yield f"no fewer than 1 items allowed [json-pointer:{path}]"
        return
    if len(items) > limit:
        yield f"no more than {limit} items allowed [json-pointer:{path}]"
    for index, item in enumerate(items):
        yield from check(item, f"{path}/{index}")


_BLOCKS: dict[str, Callable[[dict[str, Any], str], Complaints]] = {
    "section": _section,
    "header": _header,
    "context": _context,
    "actions": _actions,
    "image": _image,
    "divider": _divider,
}
