"""tenantry auth users: accounts, for administrators."""

from __future__ import annotations

from tenantry.cli.command import Group, HelpSection

GROUP = Group(
    HelpSection.SIGN_IN,
    "tenantry auth users list --state banned",
    help="""
List, show, ban and sign out users, and make one-time links for them.

These commands connect to the database as its owner; no server has to run. Users are named by id or e-mail address. No command shows a
hash of a password or a token; each change is an entry in the audit log.
""",
)
