"""docs/reference/errors.md: every error, from the classes of the whole package."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator

import tenantry
from tenantry.errors import TenantryError

_GROUPS = {
    "TN-0": "Defects",
    "TN-1": "Usage and configuration",
    "TN-2": "Servers, logins and rights",
    "TN-3": "Schemas and files",
    "TN-4": "Runs and the journal",
    "TN-5": "Data",
    "TN-6": "Sign-in",
}

_MORE = {
    "TokenRefused": "[What is accepted](verify.md#what-is-accepted)",
    "SessionEnded": "[How long a stolen token lives](../how-to/verify-tokens.md#how-long-a-stolen-token-lives)",
    "KeysUnavailable": "[Keys of an issuer](verify.md#keys-of-an-issuer)",
    "RolesMissing": "[Roles](../how-to/roles.md)",
    "LoginShared": "[Roles](../how-to/roles.md)",
    "AuthUnreachable": "[The admin API](auth-schema.md#the-admin-api)",
    "LinkFileWrong": "[Link users](../how-to/link-users.md)",
    "RowsHidden": "[Why](../decisions/0023-every-row-or-no-run.md)",
    "EncodingUnsupported": "[How](../how-to/trouble.md#tn-217-the-encoding)",
    "NameTaken": "[Why](../decisions/0031-no-name-meets-a-name-of-ours.md)",
    "VerificationFailed": "[What is compared](../explanation/verification.md)",
    "RowsLeftBehind": "[Quarantine](../how-to/quarantine.md)",
    "SigningKeysExposed": "[Keys](../how-to/serve-sign-in.md#rotate-signing-keys)",
    "RotationPending": "[Why](../decisions/0088-a-key-is-published-before-it-signs.md)",
    "AuthSchemaForeign": "[What to use then](../how-to/verify-tokens.md)",
    "ServerLoginUnfit": "[Why](../decisions/0089-the-sign-in-servers-login-has-listed-columns.md)",
    "ServerPasswordUnknown": "[What init makes](../how-to/serve-sign-in.md#what-init-makes)",
    "MailNotSent": "[Mail](../how-to/serve-sign-in.md#mail)",
}
"""Where a page says more about an error."""

_HEAD = """\
<!-- Made by `make docs` from the error classes; changes by hand are lost. -->

# Errors

Every error has a code, a message, and a hint that says what to do. With `--json` they are one object on stdout. The exit code is 1 if
problems were found, 2 for wrong usage or configuration, and 130 if you stopped a run.
[When something goes wrong](../how-to/trouble.md) describes what to do about the most frequent ones.

The table shows each error with the class that Python code catches; all derive from `tenantry.errors.TenantryError`. A message often has a
better hint than the general one here, because it knows the case."""


def all_errors() -> list[type[TenantryError]]:
    """All error classes of the package, in the order of their codes."""
    for module in pkgutil.walk_packages(tenantry.__path__, "tenantry."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found: list[type[TenantryError]] = [TenantryError, *_below(TenantryError)]
    return sorted((each for each in found if each.__module__.startswith("tenantry.")), key=lambda each: each.code)


def _below(error: type[TenantryError]) -> Iterator[type[TenantryError]]:
    for each in error.__subclasses__():
        yield each
        yield from _below(each)


def sense(error: type[TenantryError]) -> str:
    """What the error says: the first paragraph of its docstring."""
    return " ".join((inspect.getdoc(error) or "").partition("\n\n")[0].split())


def page() -> str:
    """The reference of the errors, in Markdown."""
    errors = all_errors()
    lines = [_HEAD]
    for start, title in _GROUPS.items():
        lines += ["", f"## {title}", "", "| Code | Exit | What happened | What to do |", "| --- | --- | --- | --- |"]
        lines += [_row(each) for each in errors if each.code.startswith(start)]
    return "\n".join([*lines, ""])


def _row(error: type[TenantryError]) -> str:
    what = "An unexpected error: a defect of Tenantry itself." if error is TenantryError else sense(error)
    more = f" {_MORE[error.__name__]}" if error.__name__ in _MORE else ""
    return f"| `{error.code}` `{error.__name__}` | {error.exit_code} | {_cell(what)} | {_cell(error.remedy)}{more} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
