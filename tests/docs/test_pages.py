"""Everything that a page shows is carried out, and every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.blocks import Runner, blocks_of
from tests.docs.conftest import PAGES, ROOT

EVERY_PAGE = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs/decisions").glob("*.md"))]
_LINK = re.compile(r"\[[^\]]*\]\((?!https?:)(?P<target>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")


def named(page: Path) -> str:
    """A page in test ids."""
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_example_runs(page: Path, runner: Runner) -> None:
    for block in blocks_of(page):
        runner.run(block)


@pytest.mark.parametrize("page", EVERY_PAGE, ids=named)
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for link in _LINK.finditer(text):
        target = (page.parent / link["target"]).resolve() if link["target"] else page
        assert target.exists(), f"{named(page)}: {link.group()}"
        if link["anchor"]:
            assert link["anchor"] in anchors(target), f"{named(page)}: {link.group()}"


def anchors(page: Path) -> set[str]:
    """What the headings of a page can be linked as."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_of_the_docs_is_in_their_index() -> None:
    index = (ROOT / "docs/index.md").read_text()
    for page in PAGES[1:]:
        assert page.name == "index.md" or f"({page.name})" in index, page.name


def test_the_runner_can_fail(runner: Runner, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nx = 1\n```\n\n```python\nx + 1  # → 3\n```\n```console\n$ echo a\nb\n```\n")
    first, second, third = blocks_of(page)
    assert [block.line for block in (first, second, third)] == [2, 6, 9]
    runner.run(first)
    with pytest.raises(AssertionError, match=r"page.md:6 says 3, it is 2"):
        runner.run(second)
    with pytest.raises(AssertionError, match="prints\na\ninstead of\nb"):
        runner.run(third)
