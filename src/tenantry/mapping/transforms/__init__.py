"""The built-in transforms, one file each: every file in this folder is a transform of the manifest."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType

from tenantry.mapping.transform import Transform


@cache
def transforms() -> Mapping[str, Transform]:
    """Return every transform of the folder by its name, in name order."""
    modules = [import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    made = [
        each()
        for module in modules
        for each in vars(module).values()
        if inspect.isclass(each) and issubclass(each, Transform) and each.__module__ == module.__name__
    ]
    return MappingProxyType({each.name: each for each in sorted(made, key=lambda each: each.name)})


__all__ = ["transforms"]
