"""The site's entrance: the index page and the sitemap."""

from __future__ import annotations

import html
import platform
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote
from xml.sax.saxutils import escape

from tidemill.demo.page import document

if TYPE_CHECKING:
    from tidemill.demo.site import Page

_FILTER = """<script>
const box = document.querySelector("input"), rows = [...document.querySelectorAll(".modules li")];
box.addEventListener("input", () => {
  const wanted = box.value.toLowerCase();
  for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
});
</script>
<style>.modules li[hidden] { display: none; }</style>"""


def index_page(pages: Sequence[Page]) -> str:
    """Every module with its synopsis, a box to filter them, and what could not be documented."""
    good = [page for page in pages if not page.problem]
    public = [(page.name, page.synopsis) for page in good if not _is_private(page.name)]
    private = [(page.name, page.synopsis) for page in good if _is_private(page.name)]
    bad = [(page.name, page.problem) for page in pages if page.problem]
    version = platform.python_version()
    body = [
        "<h1>The Python standard library</h1>",
        f"<p class=lead>Python {version}: {len(good)} modules, rendered as one array job.</p>",
        '<input type="search" placeholder="Filter the modules" aria-label="Filter the modules">',
        _listing(public),
    ]
    if private:
        body += ["<h1>Private modules</h1>", _listing(private)]
    if bad:
        body += ["<h1>Not documented here</h1>", _listing(bad)]
    return document("The Python standard library", "\n".join([*body, _FILTER]))


def _is_private(name: str) -> bool:
    return any(part.startswith("_") and not part.endswith("__") for part in name.split("."))


def _listing(rows: Sequence[tuple[str, str]]) -> str:
    items = (
        f'<li><a href="{quote(name)}.html">{html.escape(name)}</a>'
        f"<span>{html.escape(told)}</span></li>"
        for name, told in rows
    )
    return '<ul class="modules">\n' + "\n".join(items) + "\n</ul>"


def sitemap(base_url: str, pages: Sequence[Page]) -> str:
    """The sitemap of the index and of every page, by the protocol of sitemaps.org."""
    names = ["index", *(page.name for page in pages if not page.problem)]
    urls = (f"<url><loc>{escape(base_url)}/{quote(name)}.html</loc></url>" for name in names)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n'
        + "\n".join(urls)
        + "\n</urlset>\n"
    )
