"""tenantry auth: serve sign-in where there is no Supabase."""

from __future__ import annotations

from tenantry.cli.command import Group, HelpSection

GROUP = Group(
    HelpSection.SIGN_IN,
    "tenantry auth init --dsn postgresql://owner@localhost/app",
    help="""
Serve sign-in with the contract of Supabase Auth, for a laptop, CI, or a server room without a Supabase.

**init** prepares a database: schema `auth`, a login, a signing key, settings. **serve** is the server. **keys** rotates signing keys,
**users** is for administrators, and **mail** catches mails in development. **handover** hands the accounts over to a real Supabase Auth server.
Everything here but the handover needs `pip install 'tenantry[auth]'`.
""",
)
