"""Everything that a page shows is carried out, and every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.blocks import Runner, blocks_of
from tests.docs.conftest import DOCS, HOWTO, PAGES, ROOT, removed, server_of
from tests.requirement.text import best_practices
from tests.servers import S3Server, open_client

EVERY_PAGE = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs/decisions").glob("*.md"))]
_LINK = re.compile(r"\[[^\]]*\]\((?!https?:)(?P<target>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")
_NUMBERED = re.compile(r"(\d\d)-[a-z0-9-]+\.md")


def named(page: Path) -> str:
    """A page in test ids."""
    return str(page.relative_to(ROOT))


@pytest.mark.timeout(300)  # pages with dozens of commands, each a process of its own
@pytest.mark.parametrize(
    ("page", "s3_server"),
    [pytest.param(page, server_of(page), id=named(page)) for page in PAGES],
    indirect=["s3_server"],
)
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
    for pages in (DOCS, HOWTO):
        index = next(page for page in pages if page.name in ("index.md", "README.md"))
        for page in pages:
            assert page == index or f"({page.name})" in index.read_text(), page.name


def test_each_best_practice_has_one_page_whose_title_it_is() -> None:
    numbered = [(int(found[1]), page) for page in HOWTO if (found := _NUMBERED.fullmatch(page.name))]
    titles = {number: title_of(page) for number, page in numbered}
    assert len(numbered) == len(titles) == 10, "one page each"
    assert titles == dict(enumerate(best_practices(), 1))


def title_of(page: Path) -> str:
    """A page's first heading."""
    found = re.search(r"^# (.+)$", page.read_text(), re.MULTILINE)
    assert found, f"{named(page)} has no title"
    return found[1]


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


def test_a_page_chooses_its_server(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    for text, fixture in (("<!-- server: moto -->\n# A\n", "moto_server"), ("# A\n<!-- server: moto -->\n", "seaweed")):
        page.write_text(text)
        assert server_of(page) == fixture
    page.write_text("<!-- server: aws -->\n# A\n")
    with pytest.raises(KeyError, match="aws"):
        server_of(page)


@pytest.mark.parametrize("s3_server", ["seaweed", "moto_server"], indirect=True)
def test_nothing_of_one_page_reaches_the_next(s3_server: S3Server) -> None:
    with type(s3_server)() as server, open_client(server) as client:
        client.create_bucket(Bucket="other")
        client.create_bucket(Bucket="my-bucket", ObjectLockEnabledForBucket=True)
        client.put_bucket_tagging(Bucket="my-bucket", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
        for _ in range(2):
            client.put_object(Bucket="my-bucket", Key="a/b.json", Body=b"x")
            client.delete_object(Bucket="my-bucket", Key="a/b.json")
        assert removed(server)
        assert [bucket["Name"] for bucket in client.list_buckets()["Buckets"]] == ["other"]
        client.create_bucket(Bucket="my-bucket", ObjectLockEnabledForBucket=True)
        assert client.list_object_versions(Bucket="my-bucket").get("Versions", []) == []
        client.put_object(Bucket="my-bucket", Key="held", Body=b"x")
        client.put_object_legal_hold(Bucket="my-bucket", Key="held", LegalHold={"Status": "ON"})
        assert not removed(server), "then the next page gets a server of its own"
