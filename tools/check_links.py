"""Check that every link between the Markdown files of the project leads somewhere."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\[[^\]]*\]\(<?([^)<>\s]+)>?(?:\s+\"[^\"]*\")?\)")
FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)


def documents(root: Path) -> list[Path]:
    """List the Markdown files that people read: those at the top, and all under `docs/` and `changelog.d/`."""
    found = [*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("changelog.d/*.md")]
    return sorted(found)


def broken_links(document: Path) -> Iterator[str]:
    """Give each link of a document that leads to no file or to no heading of that file.

    Addresses outside of the project are not asked.
    """
    for link in LINK.findall(FENCE.sub("", document.read_text())):
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (document.parent / path) if path else document
        if not target.exists() or (
            anchor and target.suffix == ".md" and anchor not in anchors(target.read_text())
        ):
            yield link


def anchors(text: str) -> set[str]:
    """Give the anchors that code hosts make from the headings of a document."""
    titles = HEADING.findall(FENCE.sub("", text))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def main() -> int:
    """Print the broken links under the given folder (the project's own if none is), and return 1 if there are any."""
    root = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT
    read = documents(root)
    broken = [f"{document.relative_to(root)}: {link}" for document in read for link in broken_links(document)]
    for line in broken:
        print(line)
    print(f"{len(read)} documents, {len(broken)} broken links")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
