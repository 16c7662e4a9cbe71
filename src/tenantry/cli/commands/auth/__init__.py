"""tenantry auth: sign-in where there is no Supabase."""

from __future__ import annotations

from tenantry.cli.command import Group, HelpSection

GROUP = Group(
    HelpSection.IDENTITY,
    "tenantry auth handover",
    help="""
Sign-in for applications that have no Supabase, over schema auth.
""",
)
