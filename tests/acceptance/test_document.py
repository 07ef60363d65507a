"""README's tour and the guide, run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tour

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("document", ["README.md", "docs/guide.md"])
def test_the_tour(document: str, tmp_path: Path) -> None:
    tour.take(ROOT / document, tmp_path)


def test_the_files_that_the_documents_name_are_there() -> None:
    documents = [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]
    dead = [
        f"{document.relative_to(ROOT)} -> {target}"
        for document in documents
        for target in LINK.findall(document.read_text("utf-8"))
        if not (document.parent / target).exists()
    ]
    assert dead == []
