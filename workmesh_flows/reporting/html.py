"""Markdown pages as one HTML page that loads nothing from the network."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from markdown_it import MarkdownIt

VIEWPORT = '<meta name="viewport" content="width=device-width, initial-scale=1">'
STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; display: block; max-width: 100%; overflow-x: auto; }
p, li { overflow-wrap: anywhere; }
th, td { padding: .25rem .75rem; border-bottom: 1px solid #8884; text-align: left; vertical-align: top; }
img { max-width: 100%; border-radius: 4px; }
h1 { margin-top: 3rem; }
"""


def as_html(title: str, pages: Mapping[str, str]) -> str:
    """The pages one after the other; the key of each is the id that links of the others point to.

    Raw HTML in a page is shown as text, and script addresses do not become links.
    """
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    sections = (
        f'<section id="{escape(key)}">\n{markdown.render(page)}</section>' for key, page in pages.items()
    )
    body = "\n<hr>\n".join(sections)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n{VIEWPORT}\n<title>{escape(title)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )
