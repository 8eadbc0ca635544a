"""A page that says what is not so is seen: each of these blocks has to be refused."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from tests.docs.blocks import ROOT, Block, blocks_of
from tests.docs.running import MAIN, Reader, new_main
from tests.docs.shell import Shell


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    with ExitStack() as stage:
        shell = Shell(tmp_path, {**os.environ, "PYTHONPATH": str(ROOT)})
        stage.callback(shell.close)
        made = Reader(tmp_path, new_main(), shell, stage, lambda: "")
        made.database = f"sqlite:///{tmp_path / 'a.db'}"
        yield made
    del sys.modules[MAIN]


def blocks(folder: Path, text: str) -> list[Block]:
    page = folder / "page.md"
    page.write_text(text)
    return list(blocks_of(page))


def reads(reader: Reader, text: str) -> None:
    for block in blocks(reader.folder, text):
        reader.does(block)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("```bash\necho one\n```\n```text\ntwo\n```", id="another output"),
        pytest.param("```text\ntwo\n```", id="the output of nothing"),
        pytest.param("```bash\nfalse\n```", id="a command that fails"),
        pytest.param("```bash\nworkmesh verify nothing && echo on\n```", id="one to the left of others"),
        pytest.param("<!-- fails -->\n```bash\ntrue\n```", id="one that should fail, and does not"),
        pytest.param("```python\n>>> 1 + 1\n3\n\n```", id="another value"),
        pytest.param("```http\nHTTP/1.1 200 OK\n\n{}\n```", id="an answer to no request"),
        pytest.param("```ini\n\n```", id="a unit without a section"),
    ],
)
def test_what_is_not_so_is_seen(text: str, reader: Reader) -> None:
    with pytest.raises(AssertionError):
        reads(reader, text)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("```sql\nSELECT * FROM nothing;\n```", OperationalError),
        ("```json\n{\n```", ValueError),
        ("```toml\n=\n```", ValueError),
        ('```python title="a.py"\ndef\n```', SyntaxError),
    ],
)
def test_what_cannot_be_read_is_seen(text: str, error: type[Exception], reader: Reader) -> None:
    with pytest.raises(error):
        reads(reader, text)


def test_a_block_finds_what_those_before_it_left(reader: Reader) -> None:
    page = """
```bash
export WORD=found
mkdir inside && cd inside
```

=== "In a tab"

    ```python title="inside/said.py"
    word = "found"
    ```

```bash
echo "$WORD in $(basename "$PWD"): $(python -c 'import said; print(said.word)')"
```

```text
found in inside: ...nd
```

```python
number = 7
```

```python
>>> number
7

```
"""
    reads(reader, page)


def test_the_reason_why_a_block_is_not_run_is_the_comment_above_it(tmp_path: Path) -> None:
    (first, second) = blocks(
        tmp_path, "<!-- not run: it would end us -->\n```bash\nrm\n```\n```bash\nls\n```"
    )
    assert (first.not_run, second.not_run) == ("it would end us", "")
