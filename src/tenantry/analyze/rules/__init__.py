"""The rules of analysis, one file each: every file in this folder is a rule."""

from __future__ import annotations

import inspect
import pkgutil
from functools import cache
from importlib import import_module

from tenantry.analyze.rule import AnalysisRule


@cache
def all_rules() -> tuple[AnalysisRule, ...]:
    """Return every rule of the folder, by code."""
    modules = [import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    made = [
        each()
        for module in modules
        for each in vars(module).values()
        if inspect.isclass(each) and issubclass(each, AnalysisRule) and each.__module__ == module.__name__
    ]
    return tuple(sorted(made, key=lambda each: each.code))


__all__ = ["all_rules"]
