"""One module's page: pydoc's own documentation, in our layout."""

from __future__ import annotations

import html
import importlib
import os
import pydoc
import re
import warnings
import webbrowser
from collections.abc import Callable, Collection, Sequence
from types import ModuleType
from typing import Any

_LINK = re.compile(r'<a href="([^"#:]+)\.html(#[^"]*)?"[^>]*>(.*?)</a>')
_TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="style.css">
</head>
<body>
{body}
</body>
</html>
"""
_NAVIGATION = '<nav><a href="index.html">The Python standard library</a></nav>\n'


def document(title: str, body: str) -> str:
    """A whole HTML document around `body`."""
    return _TEMPLATE.format(title=html.escape(title), body=body)


def module_page(name: str, known: Collection[str]) -> tuple[str, str]:
    """The page of a module and the first line of its docstring; imports the module.

    Links go to modules in `known` alone, so that none leads nowhere.
    """
    _be_harmless()
    module = importlib.import_module(name)
    body = _Writer().docmodule(module)
    page = document(f"{name} - Python", _NAVIGATION + _without_dead_links(body, known))
    return page, _synopsis(module)


def problem_page(name: str, problem: str) -> str:
    """The page of a module that could not be imported: links to it must lead somewhere."""
    body = (
        f"<h1>{html.escape(name)}</h1>\n"
        f'<p class="note">This module could not be documented here: {html.escape(problem)}</p>'
    )
    return document(f"{name} - Python", _NAVIGATION + body)


def _be_harmless() -> None:
    """Importing must open no browser (antigravity does) and no window (tkinter's demos do)."""
    webbrowser.open = lambda *_, **__: False
    for variable in ("DISPLAY", "WAYLAND_DISPLAY"):
        os.environ.pop(variable, None)
    warnings.simplefilter("ignore")


def _synopsis(module: ModuleType) -> str:
    lines = (pydoc.getdoc(module) or "").strip().splitlines()
    return lines[0].strip() if lines else ""


def _without_dead_links(body: str, known: Collection[str]) -> str:
    return _LINK.sub(lambda link: link[0] if link[1] in known else link[3], body)


class _Writer(pydoc.HTMLDoc):
    """pydoc's writer with plain sections and lists where it writes tables."""

    def heading(self, title: str, extras: str = "") -> str:
        extras = extras.replace('<a href=".">index</a>', "").strip().removeprefix("<br>")
        return f'<h1>{title}</h1>\n<p class="extra">{extras.removeprefix("<br>")}</p>\n'

    def section(
        self,
        title: str,
        cls: str,
        contents: str,
        width: int = 6,  # noqa: ARG002 - pydoc's signature, here and below
        prelude: str = "",
        marginalia: str | None = None,  # noqa: ARG002
        gap: str = "",  # noqa: ARG002
    ) -> str:
        before = f'<div class="prelude">{prelude}</div>\n' if prelude else ""
        heading = f"<h2>{title}</h2>\n"
        return f'<section class="{cls}">\n{heading}{before}<div>{contents}</div>\n</section>\n'

    def multicolumn(self, list: Sequence[Any], format: Callable[[Any], str]) -> str:  # noqa: A002
        return f'<ul class="columns">{"".join(f"<li>{format(each)}</li>" for each in list)}</ul>'

    def preformat(self, text: str) -> str:
        return html.escape(text.expandtabs(), quote=False)

    def filelink(self, url: str, path: str) -> str:  # noqa: ARG002
        return ""
