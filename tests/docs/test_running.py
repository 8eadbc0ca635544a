"""Wrong pages are detected: each of these blocks must fail."""

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
        reader.run(block)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("```bash\necho one\n```\n```text\ntwo\n```", id="different output"),
        pytest.param("```text\ntwo\n```", id="output without a command"),
        pytest.param("```bash\nfalse\n```", id="failing command"),
        pytest.param(
            "```bash\nworkmesh verify nothing && echo on\n```", id="failing command to the left of &&"
        ),
        pytest.param("<!-- fails -->\n```bash\ntrue\n```", id="command that should fail but does not"),
        pytest.param("```python\n>>> 1 + 1\n3\n\n```", id="different value"),
        pytest.param("```http\nHTTP/1.1 200 OK\n\n{}\n```", id="answer without a request"),
        pytest.param("```ini\n\n```", id="unit file without a section"),
    ],
)
def test_a_block_with_a_wrong_result_fails(text: str, reader: Reader) -> None:
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
def test_a_block_with_invalid_syntax_or_names_fails(
    text: str, error: type[Exception], reader: Reader
) -> None:
    with pytest.raises(error):
        reads(reader, text)


def test_a_block_uses_files_variables_and_values_of_earlier_blocks(reader: Reader) -> None:
    page = """
```bash
export WORD=found
mkdir inside && cd inside
```

=== "In a tab"

    ```python title="inside/tab.py"
    word = "found"
    ```

```bash
echo "$WORD in $(basename "$PWD"): $(python -c 'import tab; print(tab.word)')"
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


def test_the_comment_above_a_block_is_the_reason_why_it_is_not_run(tmp_path: Path) -> None:
    (first, second) = blocks(
        tmp_path, "<!-- not run: it deletes files -->\n```bash\nrm\n```\n```bash\nls\n```"
    )
    assert (first.not_run, second.not_run) == ("it deletes files", "")
