"""Tables of commands, settings, backends and prices say what the code says."""

from __future__ import annotations

import re

from dataknobs_data.s3.costs.prices import default_prices
from dataknobs_data.s3.settings import ALIASES
from tests.docs import reference
from tests.docs.conftest import PAGES, ROOT

HINT = "python -m tests.docs.reference writes it anew"


def test_what_is_written_from_the_code_is_up_to_date() -> None:
    standing = {name: text for page in PAGES for name, text in reference.parts_in(page).items()}
    assert standing.keys() == reference.parts().keys()
    for name, text in reference.parts().items():
        assert standing[name] == text, f"{name!r} is out of date: {HINT}"


def test_every_s3_setting_is_explained_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| .+ \|$", (ROOT / "docs/s3.md").read_text(), re.MULTILINE)
    assert dict(rows) == reference.s3_defaults()
    assert len(rows) == len(dict(rows)), "one row each"


def test_every_other_spelling_of_an_s3_setting_is_explained() -> None:
    page = (ROOT / "docs/s3.md").read_text()
    for alias, name in ALIASES.items():
        assert f"`{alias}` for `{name}`" in page


def test_the_map_names_every_module_and_every_suite() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`([\w/]+(?:\.py|/))`", text))
    package, suites = ROOT / "src/dataknobs_data", ROOT / "tests"
    modules = {path.name for path in package.glob("[!_]*.py")} | {
        f"{path.parent.name}/" for path in package.glob("*/__init__.py")
    }
    folders = {f"{path.parent.name}/" for path in suites.glob("*/test_*.py")}
    assert (modules | folders) - named == set()


def test_prices_are_those_of_the_table() -> None:
    prices = default_prices().per_request
    for page in ("README.md", "docs/requirement.md", "docs/s3.md"):
        text = (ROOT / page).read_text()
        shown = dict(re.findall(r"(PUT|GET)s? (?:costs? )?\$(0\.\d+)", text))
        assert shown == {"PUT": "0.005", "GET": "0.0004"}, page
    assert (prices["PutObject"] * 1000, prices["GetObject"] * 1000) == (0.005, 0.0004)
