"""Settings that change the meaning of SQL, the content of messages, or end sessions, and the values that Tenantry sets for them.

A login may alter its own settings permanently (ALTER ROLE … SET), and behind a pooler in transaction mode a session keeps the
previous user's settings. So the settings are set when a connection begins, which overrides ALTER ROLE, and again in each transaction.
"""

from __future__ import annotations

import re

from psycopg.conninfo import conninfo_to_dict

STATED = {
    "array_nulls": "on",
    "backslash_quote": "safe_encoding",
    "bytea_output": "hex",
    "check_function_bodies": "on",
    "client_min_messages": "notice",
    "datestyle": "ISO, MDY",
    "debug_print_parse": "off",
    "debug_print_plan": "off",
    "debug_print_rewritten": "off",
    "exit_on_error": "off",
    "extra_float_digits": "1",
    "gin_fuzzy_search_limit": "0",
    "intervalstyle": "postgres",
    "lc_monetary": "C",
    "lc_numeric": "C",
    "lc_time": "C",
    "log_parameter_max_length_on_error": "0",
    "plpgsql.check_asserts": "on",
    "quote_all_identifiers": "off",
    "row_security": "on",
    "standard_conforming_strings": "on",
    "timezone": "UTC",
    "timezone_abbreviations": "Default",
    "transform_null_equals": "off",
    "xmlbinary": "base64",
    "xmloption": "content",
}
"""The settings of each context, in its transaction. Every login may set them, on every version from 15 on."""

AT_START = {
    **STATED,
    "role": "none",
    "search_path": "pg_catalog, pg_temp",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "tcp_user_timeout": "0",
    "local_preload_libraries": "",
}
"""The settings at the start of each connection; contexts set role, search path and timeouts themselves."""

_ESCAPED = re.compile(r"[ \\]")


def start_options(dsn: str = "") -> str:
    """Return the `options` for a connection that begins with AT_START; options of the connection string are added, and override them."""
    own = str(conninfo_to_dict(dsn).get("options") or "")
    stated = (f"-c {name}={_ESCAPED.sub(_escape, value)}" for name, value in AT_START.items())
    return " ".join([*stated, own]).rstrip()


def _escape(match: re.Match[str]) -> str:
    return "\\" + match.group()


__all__ = ["AT_START", "STATED", "start_options"]
