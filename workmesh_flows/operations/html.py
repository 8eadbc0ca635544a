"""Pages of Markdown as one page of HTML that loads nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from markdown_it import MarkdownIt

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .25rem .75rem; border-bottom: 1px solid #8884; text-align: left; vertical-align: top; }
img { max-width: 100%; border-radius: 4px; }
h1 { margin-top: 3rem; }
"""


def as_html(title: str, pages: Iterable[str]) -> str:
    """The pages one after the other; raw HTML in them shows as text, and addresses that run scripts are no links."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    body = "\n<hr>\n".join(markdown.render(page) for page in pages)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )
