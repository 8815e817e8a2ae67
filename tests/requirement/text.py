"""The examples of `requirement.txt`: whatever is neither a heading nor a sentence of it, taken from the text as it stands.

Nothing here holds code of an example. What is called prose is named line by line, so a line that is not is part of one.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("requirement.txt")
SHA256 = "3f9fd6a3f05196f395c81152429ce4252ccc838326a060238f54bc6888f2b133"
"""Of the text that was asked for. It is nobody's to change."""

HEADINGS = frozenset({
    "Skip to content", "S3 Backend", "Features", "Installation", "Configuration", "Basic Configuration",
    "With Environment Variables", "Using LocalStack for Testing", "Start LocalStack:", "Usage Examples",
    "Basic CRUD Operations", "Batch Operations", "Metadata and Tags", "Searching and Filtering",
    "Performance Optimization", "1. Batch Operations", "2. Prefix Organization", "3. Index Caching",
    "4. Multipart Upload", "Cost Optimization", "API Call Reduction", "Storage Classes", "Lifecycle Policies",
    "Limitations and Considerations", "Query Performance", "Consistency Model", "Size Limits", "Advanced Features",
    "S3 Select Integration (Future)", "Cross-Region Replication", "Versioning", "Testing with LocalStack",
    "Migration from Other Backends", "Best Practices",
})  # fmt: skip
INTRODUCTION = (
    "The S3 backend provides scalable object storage using AWS S3 or S3-compatible services. It's ideal for archival, "
    "backup, and storing large datasets with unlimited capacity."
)
_LIST_ITEM = re.compile(r"  (•|\d+\.) ")


def examples(text: str) -> dict[str, str]:
    """Heading → the example below it, word for word."""
    found: dict[str, list[str]] = {}
    heading = ""
    for line in text.splitlines():
        if line in HEADINGS:
            heading = line
        elif line != INTRODUCTION and not _LIST_ITEM.match(line):
            found.setdefault(heading, []).append(line)
    joined = {heading: "\n".join(lines).strip("\n") for heading, lines in found.items()}
    return {heading: example for heading, example in joined.items() if example}


def digest() -> str:
    """Of the text as it lies here."""
    return hashlib.sha256(PATH.read_bytes()).hexdigest()


EXAMPLES = examples(PATH.read_text(encoding="utf-8"))


class Run:
    """Executes an example in a namespace, at once or up to a line at a time, every line exactly once and in order."""

    def __init__(self, example: str, namespace: dict[str, Any], replaced: dict[str, str] | None = None) -> None:
        for old, new in (replaced or {}).items():
            assert old in example, f"the example does not hold {old!r}"
            example = example.replace(old, new)
        self.namespace = namespace
        self._lines = example.splitlines()
        self._at = 0

    def before(self, line: str) -> None:
        """Everything up to that line of the example, which has to be there."""
        self._execute(self._lines.index(line, self._at))

    def rest(self) -> dict[str, Any]:
        """What is left of it; the namespace."""
        self._execute(len(self._lines))
        return self.namespace

    def _execute(self, end: int) -> None:
        source = "\n" * self._at + "\n".join(self._lines[self._at : end])  # line numbers stay those of the example
        self._at = end
        exec(compile(source, str(PATH), "exec"), self.namespace)


def best_practices() -> list[str]:
    """The last section of the text: its ten sentences, without their numbers."""
    last = PATH.read_text(encoding="utf-8").rpartition("Best Practices")[2]
    return [line.strip().partition(". ")[2] for line in last.splitlines() if line.strip()]
