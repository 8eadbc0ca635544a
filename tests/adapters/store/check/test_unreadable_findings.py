from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import DateTime, Engine, Integer, String

from tests.adapters.store.test_unreadable_rows import Fussy, blog, send_object, write
from tests.support.schema_findings import problems, run
from workmesh_flows import EntityWeight, Mesh
from workmesh_flows.adapters.store.check import unreadable_findings


@pytest.mark.parametrize("send", [None, send_object], ids=["rows", "objects"])
def test_records_that_cannot_be_read_are_named_with_table_key_and_column(engine: Engine, send: Any) -> None:
    service, author, post = blog(Fussy(), send)
    write(engine, author, post)
    assert problems(engine, Mesh([service])) == []
    run(engine, "UPDATE post SET odd = '' WHERE id IN (3, 7)")
    assert problems(engine, Mesh([service])) == [
        (
            "post: post.odd of record 3 cannot be read: RuntimeError: a text is empty; "
            "post.odd of record 7 cannot be read: RuntimeError: a text is empty"
        )
    ]


def test_a_pending_record_behind_many_pushed_ones_is_sampled(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unreadable_findings, "ROWS", 3)
    service, author, post = blog(Fussy())
    write(engine, author, post)
    run(engine, 'UPDATE post SET "push Success" = true WHERE id < 9', "UPDATE post SET odd = '' WHERE id = 9")
    (problem,) = problems(engine, Mesh([service]))
    assert "post.odd of record 9" in problem


def test_many_unreadable_records_are_counted_and_three_are_named(engine: Engine) -> None:
    service, author, post = blog(Fussy())
    write(engine, author, post)
    run(engine, "UPDATE post SET odd = '' WHERE id <> 1")
    (problem,) = problems(engine, Mesh([service]))
    assert problem.count("cannot be read") == 3
    assert problem.endswith("; and 5 more of the sample")


def test_bytes_in_a_column_of_texts_are_found(sqlite: Engine) -> None:
    service, author, post = blog(String(50))
    write(sqlite, author, post)
    run(sqlite, "UPDATE post SET odd = X'ff' WHERE id = 3")
    (problem,) = problems(sqlite, Mesh([service]))
    assert problem.startswith("post: post.odd of record 3 cannot be read: the column holds bytes")


def test_a_date_that_python_cannot_hold_is_found(postgresql: Engine) -> None:
    service, author, post = blog(DateTime(timezone=True))
    write(postgresql, author, post)
    run(postgresql, "UPDATE post SET odd = 'infinity' WHERE id = 3")
    (problem,) = problems(postgresql, Mesh([service]))
    assert problem.startswith("post: post.odd of record 3 cannot be read: timestamp too large")


def test_an_entity_that_a_weight_function_cannot_get_is_found(engine: Engine) -> None:
    service, author, post = blog(Integer())
    author.__table__.c.node.type = Fussy()
    service.criterion = EntityWeight(lambda author: 1)
    write(engine, author, post)
    run(engine, "UPDATE author SET node = '' WHERE id = 2")
    found = problems(engine, Mesh([service]))
    assert "author: author.node of record 2 cannot be read: RuntimeError: a text is empty" in found
