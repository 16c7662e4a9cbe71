"""Verification of access tokens, for applications: of any Supabase, of `tenantry auth serve`, or of another issuer with a JWK set.

    verifier = Verifier(Trust.supabase("https://abc.supabase.co"))
    caller = verifier.verify(token)  # or: await verifier.verify_async(token)
    with pool.connection() as connection, tenant(connection, caller.claims, key, schema="clinic", check_session=True) as me:
        rows = me.execute("select id, name from providers").fetchall()

A token is accepted if a key of the issuer verifies its signature under that key's own algorithm, and if its claims are those that the
verifier states. Keys are fetched, kept and rotated as IssuerKeys says. Without a look at the database a stolen token is good until
it expires; `check_session=True` ends it with its session.

tenantry.auth.verify.middleware has an ASGI middleware, tenantry.auth.verify.fastapi a dependency for FastAPI.
"""

from tenantry.auth.verify.caller import LEVELS, VerifiedCaller
from tenantry.auth.verify.fetch import FetchRules
from tenantry.auth.verify.verifier import Trust, Verifier

REASONS = (
    "missing",
    "malformed",
    "size",
    "encrypted",
    "duplicate",
    "header",
    "embedded_key",
    "type",
    "algorithm",
    "unknown_key",
    "signature",
    "claims",
    "expired",
    "not_yet",
    "issuer",
    "audience",
    "role",
)
"""Why a token is refused: `reason` of TokenRefused."""

__all__ = ["LEVELS", "REASONS", "FetchRules", "Trust", "VerifiedCaller", "Verifier"]
