"""tenantry users: accounts and profiles."""

from __future__ import annotations

from tenantry.cli.command import Group, HelpSection

GROUP = Group(
    HelpSection.IDENTITY,
    "tenantry users plan",
    help="""
Plan and follow what becomes of users: their accounts (auth.users) and the application's profiles.

**plan** and **list** show which users are linked to an account, get one, or are left without. **fetch** and **push** work with a
hosted Supabase through its admin API. **events** and **retry** are for keeping accounts and profiles synchronized after the
migration.
""",
)
