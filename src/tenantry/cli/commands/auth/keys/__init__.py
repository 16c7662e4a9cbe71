"""tenantry auth keys: the keys that sign access tokens."""

from __future__ import annotations

from tenantry.cli.command import Group, HelpSection

GROUP = Group(
    HelpSection.SIGN_IN,
    "tenantry auth keys rotate",
    help="""
Show and rotate the keys that sign access tokens.

A new key is published at once, and signs after eleven minutes, when no cache lacks it. The key before it verifies until its last token
has expired. Running servers notice the change within a second. No private part of a key is ever shown.
""",
)
