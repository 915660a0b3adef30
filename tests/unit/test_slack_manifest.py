# SPDX-License-Identifier: MIT
"""The Slack app that people are told to create may do what the tests were allowed to do, and nothing else."""

from __future__ import annotations

from pathlib import Path

import yaml

from demo.slack.workspace import SCOPES

MANIFEST = Path(__file__).resolve().parents[2] / "docs" / "slack-app-manifest.yaml"


def test_the_manifest_asks_for_the_scopes_of_the_stand_in():
    manifest = yaml.safe_load(MANIFEST.read_text(encoding="utf-8"))
    assert sorted(manifest["oauth_config"]["scopes"]["bot"]) == sorted(SCOPES)
