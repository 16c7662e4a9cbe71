"""Texts and words: trimmed, folded, as boolean, and the limits of text types."""

from __future__ import annotations

from tenantry.catalog import Column as CatalogColumn
from tenantry.mapping.values.type_names import TEXTS, base_type, is_text, text_length
from tenantry.postgres import literals

BLANKS = " \t\r\n\u00a0"
TRUE_WORDS = ("true", "t", "yes", "y", "on", "1")
FALSE_WORDS = ("false", "f", "no", "n", "off", "0")


def plain_source(source: CatalogColumn, raw: str) -> str:
    """Return the raw value in a fixed collation: patterns reject nondeterministic ones, and citext folds case."""
    if is_text(source) and (source.collation is not None or base_type(source.type) not in TEXTS - {"citext"}):
        return f'{raw}::text collate "C"'
    return raw


def trimmed(raw: str) -> str:
    return f"btrim({raw}, {escaped(BLANKS)})"


def folded(raw: str) -> str:
    """Trim a text and lower-case A to Z, whatever the database's locale does with other letters."""
    return f'lower({trimmed(raw)} collate "C")'


def no_longer(value: str, type_name: str) -> str:
    """Convert to a text type; null if the value is longer than the type allows."""
    length = text_length(type_name)
    if length is None:
        return f"{value}::{type_name}"
    return f"case when length({value}::text) <= {length} then {value}::{type_name} end"


def as_text(text: str, type_name: str) -> str:
    """Convert a text to a text type; null if the type is too short for it."""
    return no_longer(f"({text})", type_name)


def boolean(raw: str) -> str:
    """Read true, t, yes, y, on, 1 and false, f, no, n, off, 0; ignores case and surrounding blanks."""
    word = folded(raw)
    return f"case when {word} in ({literals(TRUE_WORDS)}) then true when {word} in ({literals(FALSE_WORDS)}) then false end"


def boolean_text(value: str, type_name: str) -> str:
    """Write true or false, or their first letters if the type holds no more."""
    length = text_length(type_name)
    word = f"left({value}::text, 1)" if length is not None and length < len("false") else f"{value}::text"
    return as_text(word, type_name)


def escaped(text: str) -> str:
    """Return a literal in which each character is an escape, so that different blanks can be distinguished."""
    return "E'" + "".join(f"\\u{ord(char):04x}" for char in text) + "'"
