"""A file for each form of export; a file that is put here counts."""

from __future__ import annotations

import pkgutil


def form_names() -> tuple[str, ...]:
    """Return the names of the forms, without importing them."""
    return tuple(sorted(each.name for each in pkgutil.iter_modules(__path__)))
