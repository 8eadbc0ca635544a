"""Reads the code blocks of a page, and the comment above each that controls how it is tested."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

FENCE = re.compile(r"^(?P<indent> *)```(?P<info>.*)$")
TITLE = re.compile(r'title="(?P<title>[^"]+)"')
MARK = re.compile(r"^ *<!-- (?P<word>not run|fails)(?:: (?P<reason>.+))? -->$")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; ``title`` is the file to write it to, ``not_run`` the reason why no test runs it."""

    page: Path
    line: int
    language: str
    title: str
    text: str
    not_run: str = ""
    fails: bool = False

    def __str__(self) -> str:
        page = self.page.relative_to(ROOT) if self.page.is_relative_to(ROOT) else self.page
        return f"{page}:{self.line} ({self.language})"


def blocks_of(page: Path) -> Iterator[Block]:
    """Yield the blocks of a page from top to bottom, including those in tabs and lists."""
    mark: re.Match[str] | None = None
    lines = iter(enumerate(page.read_text(encoding="utf-8").splitlines(), 1))
    for number, line in lines:
        if opened := FENCE.match(line):
            closing = f"{opened['indent']}```"
            body = []
            for _, inner in lines:
                if inner.rstrip() == closing:
                    break
                body.append(inner)
            else:
                raise AssertionError(f"{page.name}:{number}: the block is not closed")
            language, _, rest = opened["info"].strip().partition(" ")
            title = TITLE.search(rest)
            comment = mark.groupdict() if mark else {"word": "", "reason": ""}
            yield Block(
                page,
                number,
                language,
                title["title"] if title else "",
                dedent("\n".join(body)) + "\n",
                not_run=(comment["reason"] or "") if comment["word"] == "not run" else "",
                fails=comment["word"] == "fails",
            )
        if line.strip():
            mark = MARK.match(line)
