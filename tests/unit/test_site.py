"""What the site's check takes for an address that a page loads."""

from __future__ import annotations

import pytest

from tools.site.check import loaded_by_page, loaded_by_style


@pytest.mark.parametrize(
    "text",
    [
        '<script src="https://cdn.example/x.js"></script>',
        '<script src="//cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="https://cdn.example/x.css">',
        '<link rel="preconnect" href="https://cdn.example/">',
        '<img src="HTTP://cdn.example/x.png">',
        '<img srcset="x.png 1x, https://cdn.example/y.png 2x">',
        '<iframe src="https://cdn.example/"></iframe>',
        '<object data="https://cdn.example/x.svg"></object>',
        '<video poster="https://cdn.example/x.png"></video>',
        '<svg><use href="https://cdn.example/x.svg#a"/></svg>',
        "<style>@import 'https://cdn.example/x.css';</style>",
        '<p style="background: url(//cdn.example/x.png)">',
    ],
)
def test_resources_from_other_hosts_are_found(text: str) -> None:
    assert len(loaded_by_page(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        '<a href="https://www.postgresql.org/docs/">the manual</a>',
        '<script src="_static/x.js?v=1"></script>',
        '<link rel="next" href="https://docs.example/next.html">',
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"></svg>',
        "<p>https://cdn.example/x.js</p><code>url(https://cdn.example/x.png)</code>",
    ],
)
def test_links_and_text_are_not_resources(text: str) -> None:
    assert loaded_by_page(text) == []


def test_style_sheets_are_read_too() -> None:
    assert loaded_by_style(
        '@font-face { src: url("https://fonts.example/a.woff2"); } a { background: url(x.png) }'
    ) == ["https://fonts.example/a.woff2"]
