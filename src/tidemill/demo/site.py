"""The demo's whole program: two functions that are jobs, and the call that starts them.

`render` is mapped over every module of the standard library; `publish` waits for all of that and
receives the list of what it returned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Final

import tidemill as tm
from tidemill.demo.index import index_page, sitemap
from tidemill.demo.isolation import Broken, isolated
from tidemill.demo.library import is_here, module_names
from tidemill.demo.page import module_page, problem_page

MODULES_PER_CHILD: Final = 4
MODULE_TIMEOUT_S: Final = 30.0
# Listed once, when this module is imported: a warm interpreter shares it with all its children.
KNOWN: Final = frozenset(module_names())


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A page to make."""

    name: str
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page that was made; `problem` says why it documents nothing, if so."""

    name: str
    synopsis: str = ""
    problem: str = ""


@tm.job(memory="512MiB", attempts=2, timeout="15m")
def render(order: Order) -> Page:
    """Write one module's page; a module that can't be imported gets a page that says why."""
    target = Path(order.folder) / f"{order.name}.html"

    def write() -> str:
        text, synopsis = module_page(order.name, KNOWN)
        target.write_text(text, "utf-8", "replace")
        return synopsis or " "

    try:
        if not is_here(order.name):
            raise Broken("it is not part of Python on this platform")
        return Page(name=order.name, synopsis=isolated(write, MODULE_TIMEOUT_S).strip())
    except Broken as broken:
        target.write_text(problem_page(order.name, str(broken)), "utf-8", "replace")
        return Page(name=order.name, problem=str(broken))


@tm.job
def publish(pages: list[Page], folder: str) -> list[Page]:
    """Join the pages to a site; returns those that document nothing."""
    site = Path(folder)
    pages = sorted(pages, key=lambda page: page.name.lower())
    (site / "index.html").write_text(index_page(pages), "utf-8", "replace")
    (site / "sitemap.xml").write_text(sitemap(site.as_uri(), pages), "utf-8")
    (site / "style.css").write_text(_style(), "utf-8")
    return [page for page in pages if page.problem]


def _style() -> str:
    return (files("tidemill.demo") / "style.css").read_text("utf-8")


def start(
    folder: Path, names: Sequence[str] | None = None
) -> tuple[tm.MapRun[Page], tm.Run[list[Page]]]:
    """Submit all of it, or these modules alone; the folder must be there."""
    orders = [Order(name=name, folder=str(folder)) for name in names or module_names()]
    pages = render.map(orders, chunk=MODULES_PER_CHILD)
    return pages, publish.submit(pages, str(folder))
