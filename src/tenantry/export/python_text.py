"""Texts inside Python files that are generated."""

from __future__ import annotations

import re
import textwrap


def raw_text(text: str) -> str:
    """A literal that shows a text of several lines as it is."""
    if '"""' in text or text.endswith(('"', "\\")) or "\r" in text:
        return repr(text)
    return f'r"""{text}"""' if "\\" in text else f'"""{text}"""'


def docstring(*sentences: str) -> str:
    """A docstring with a first line, and a paragraph for each text that follows."""
    first, *more = [_harmless(each) for each in sentences if each]
    paragraphs = ["\n".join(textwrap.wrap(each, 118)) for each in more]
    if not paragraphs and len(first) < 112:
        return f'"""{first}"""'
    return '"""' + "\n\n".join(["\n".join(textwrap.wrap(first, 112)), *paragraphs]) + '\n"""'


def _harmless(text: str) -> str:
    """No text ends a docstring or escapes in it."""
    return re.sub(r'["\\]', "'", text)


def call(*given: object, **named: object) -> str:
    """The arguments of a call: texts of code as they are, named ones that are None left out."""
    return ", ".join([*map(str, given), *(f"{name}={value}" for name, value in named.items() if value is not None)])
