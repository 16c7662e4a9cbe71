"""Connections, the embedded server, quoting, and the loader of .sql files."""

from tenantry.postgres.connect import about, connect, describe_dsn, explain, is_fence, normalise_dsn, with_parameters
from tenantry.postgres.embedded import EmbeddedServer
from tenantry.postgres.sql import (
    comment,
    free_name,
    ident,
    idents,
    literal,
    literals,
    load_blocks,
    load_sql,
    short_name,
    verbatim,
)

__all__ = [
    "EmbeddedServer",
    "about",
    "comment",
    "connect",
    "describe_dsn",
    "explain",
    "free_name",
    "ident",
    "idents",
    "is_fence",
    "literal",
    "literals",
    "load_blocks",
    "load_sql",
    "normalise_dsn",
    "short_name",
    "verbatim",
    "with_parameters",
]
