"""The demo's pages: whole documents whose links lead somewhere."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from xml.etree import ElementTree

from tidemill.demo.index import index_page, sitemap
from tidemill.demo.isolation import isolated
from tidemill.demo.library import module_names
from tidemill.demo.page import module_page, problem_page
from tidemill.demo.site import Page


class Links(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        href = dict(attrs).get("href")
        if tag == "a" and href and not href.startswith(("http", "mailto", "#")):
            self.found.add(href.partition("#")[0])


def test_the_library_is_listed_with_its_submodules() -> None:
    names = module_names()
    assert len(names) > 300
    assert len(set(names)) == len(names)
    assert {"json", "json.decoder", "xml.etree.ElementTree", "sys", "antigravity"} <= {*names}
    assert not any("test" in name.split(".") or "__main__" in name for name in names)


def test_links_lead_to_known_modules_only() -> None:
    known = {"json", "json.decoder", "builtins"}
    page = isolated(lambda: module_page("json", known)[0], 30.0)
    assert Links(page).found == {"index.html", "json.decoder.html", "builtins.html"} - (
        set() if "builtins.html" in page else {"builtins.html"}
    )
    assert "json.encoder" in page


def test_importing_opens_no_browser() -> None:
    page = isolated(lambda: module_page("antigravity", ())[0], 30.0)
    assert "<title>antigravity - Python</title>" in page
    assert "antigravity" not in sys.modules


def test_the_index_lists_what_is_there_and_what_is_not() -> None:
    pages = [
        Page(name="a.b", synopsis="Does <things> & more."),
        Page(name="bad", problem="ImportError: <nt>"),
    ]
    text = index_page(pages)
    assert Links(text).found == {"a.b.html", "bad.html"}
    assert "Does &lt;things&gt; &amp; more." in text
    assert "ImportError: &lt;nt&gt;" in problem_page("bad", pages[1].problem)
    root = ElementTree.fromstring(sitemap("file:///some%20where", pages))
    assert [url[0].text for url in root] == [
        "file:///some%20where/index.html",
        "file:///some%20where/a.b.html",
    ]
