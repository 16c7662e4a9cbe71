"""What a form of export is, and how forms are found: each is a class in a file of its own in `forms`."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cache
from typing import ClassVar

from tenantry.errors import SettingsError
from tenantry.export.forms import form_names
from tenantry.export.subject import Subject

STAMP = "{stamp}"
"""In a path: the time at which a migration is written, as 20260131120000; files of one export follow each other by a second."""


class Form(ABC):
    """A form of export. It is pure: it turns a Subject into texts.

    Attributes:
        name: as it is typed; the file is called the same.
        title: what is written, in a few words, for the help text.
        example: a folder, for the help text.
        apply: the command that uses what was written, for the message after it.
        owner: the role that owns the tables where the form is applied, if nothing else is said; None: as in this database.
        runs_files: it writes the manifest's SQL files; False: models of the tables as they are now.
        left_out: what the form cannot state, each as a clause; shown after an export and in docs/how-to/export-to-other-tools.md.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    example: ClassVar[str]
    apply: ClassVar[str]
    left_out: ClassVar[tuple[str, ...]] = ()
    owner: ClassVar[str | None] = None
    runs_files: ClassVar[bool] = True

    @abstractmethod
    def files(self, subject: Subject) -> Mapping[str, str]:
        """The files, as path in the folder (with `/`, and STAMP where a time belongs) and text without the line that says who made it."""


@cache
def all_forms() -> Mapping[str, Form]:
    """Every form by its name, in the order of names."""
    found: dict[str, Form] = {}
    for name in form_names():
        module = importlib.import_module(f"tenantry.export.forms.{name}")
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, Form) and kind.__module__ == module.__name__:
                assert kind.name == name, "a form is called like its file"
                found[kind.name] = kind()
    return found


def find_form(name: str) -> Form:
    """
    Raises:
        SettingsError: there is no such form; the message lists those that there are.
    """
    known = all_forms()
    if name not in known:
        listed = "; ".join(f"{each.name} ({each.title})" for each in known.values())
        raise SettingsError(f"There is no form {name!r} of export.", hint=f"Choose one of: {listed}.")
    return known[name]
