"""Records that cannot be read from the database are refused and not sent; other records are."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Column, DateTime, Dialect, Engine, ForeignKey, Integer, String, TypeDecorator, select
from sqlalchemy.orm import registry

from tests.adapters.store.worlds import START, fill, flag_columns, made_of
from tests.operations.delivery.lane_runs import context_on, pull, push
from tests.support.counts import Counts, counts
from tests.support.schema_findings import run
from tests.support.scripted_node import Answer, Asked, scripted_node, success
from workmesh_flows import Flags, Protocol, Pull, Push, Service, get, post
from workmesh_flows.adapters.store.protocol_tables import push_tables
from workmesh_flows.adapters.store.refused_list import refused_records
from workmesh_flows.operations.delivery.push import push_lane


class Word(TypeDecorator[str]):
    """A user's own type, which cannot read a text with a question mark."""

    impl = String(50)
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        del dialect
        if value and "?" in value:
            raise LookupError("a word has no question mark")
        return value


class Letters:
    """Authors, and their letters with a word that may be unreadable."""

    def __init__(
        self, *, batch_size: int | None = 10, send: Any = None, fetch: Any = None, **push: Any
    ) -> None:
        base = registry().generate_base()
        self.author: Any = made_of(
            base, "Author", id=Column(Integer, primary_key=True), node=Column(String(50))
        )
        self.letter: Any = made_of(
            base,
            "Letter",
            id=Column(Integer, primary_key=True, autoincrement=False),
            author_id=Column(Integer, ForeignKey("author.id")),
            at=Column(DateTime(timezone=True), nullable=False),
            word=Column(Word()),
            score=Column(Integer),
            **flag_columns("push"),
            **flag_columns("pull"),
        )
        letter = self.letter
        send = send or post("/push.json", "letters" if batch_size else "letter", batch_size=batch_size)
        protocol = Protocol(
            "letter",
            record=letter,
            id=letter.id,
            sort=letter.at,
            push=Push(send, Flags(letter.push_time, letter.push_success, letter.push_error), **push),
            pull=Pull(
                "/status.json",
                fetch or get("/pull.json", into={"score": letter.score}),
                Flags(letter.pull_time, letter.pull_success, letter.pull_error),
            ),
        )
        self.service = Service("s", entity=self.author, assigned_to=self.author.node, protocols=[protocol])

    def write(self, engine: Engine, authors: list[int]) -> None:
        """Letters 1, 2, ... of these authors."""
        rows = [
            {"id": i, "author_id": author, "at": START + timedelta(seconds=i), "word": f"word {i}"}
            for i, author in enumerate(authors, 1)
        ]
        fill(engine, (self.author, [{"id": i, "node": "n1"} for i in set(authors)]), (self.letter, rows))

    def flags(self, engine: Engine, way: str = "push") -> dict[int, tuple[Any, Any]]:
        table = self.letter.__table__
        columns = table.c.id, getattr(self.letter, f"{way}_success"), getattr(self.letter, f"{way}_error")
        with engine.connect() as connection:
            return {row[0]: (row[1], row[2]) for row in connection.execute(select(*columns))}


REASON = "letter.word of record 3 cannot be read: LookupError: a word has no question mark"


def sent(asked: list[Asked]) -> list[int]:
    found: list[int] = []
    for request in asked:
        if request.path == "/push.json":
            content = request.body.get("letters") or [request.body["letter"]]
            found += [letter["id"] for letter in content]
    return found


@pytest.mark.parametrize("batch_size", [10, None])
def test_an_unreadable_record_is_refused_and_its_owner_waits(engine: Engine, batch_size: int | None) -> None:
    letters = Letters(batch_size=batch_size)
    letters.write(engine, [1, 2, 3, 1, 2, 3, 1])
    run(engine, "UPDATE letter SET word = 'why?' WHERE id = 3")
    with scripted_node() as node:
        assert counts(push(engine, letters.service, node.node())) == Counts(pushed=5, refused=1, waiting=1)
        assert sent(node.asked) == [1, 2, 4, 5, 7]
        assert letters.flags(engine)[3] == (False, REASON)
        assert letters.flags(engine)[6] == (None, None)
        run(engine, "UPDATE letter SET word = 'because' WHERE id = 3")
        node.asked.clear()
        assert counts(push(engine, letters.service, node.node())) == Counts(pushed=2)
        assert sent(node.asked) == [3, 6], (
            "once the value is corrected, the rest of the owner follows in order"
        )


def test_a_batch_without_later_records_of_its_owner_is_sent_whole_without_the_unreadable_one(
    engine: Engine,
) -> None:
    letters = Letters()
    letters.write(engine, [1, 2, 3, 1, 2])
    run(engine, "UPDATE letter SET word = 'why?' WHERE id = 3")
    with scripted_node() as node:
        push(engine, letters.service, node.node())
        batches = [request for request in node.asked if request.path == "/push.json"]
    assert [sent([batch]) for batch in batches] == [[1, 2, 4, 5]]


def test_two_unreadable_records_of_one_owner_are_tried_one_after_the_other(engine: Engine) -> None:
    letters = Letters()
    letters.write(engine, [1, 1, 2, 1])
    run(engine, "UPDATE letter SET word = 'why?' WHERE id IN (1, 2)")
    with scripted_node() as node:
        assert counts(push(engine, letters.service, node.node())) == Counts(pushed=1, refused=1, waiting=2)
    flags = letters.flags(engine)
    assert flags[1][0] is False
    assert flags[2] == (None, None)
    assert flags[3] == (True, None)


def test_an_unreadable_record_is_parked_after_its_last_attempt(engine: Engine) -> None:
    letters = Letters(max_attempts=2)
    letters.write(engine, [1, 2, 3, 3])
    run(engine, "UPDATE letter SET word = 'why?' WHERE id = 3")
    with scripted_node() as node:
        push(engine, letters.service, node.node())
        push_lane(context_on(engine, letters.service, node.node()))
    (found,) = refused_records(engine, push_tables(letters.service, letters.service.protocols[0]))
    assert (found.record, found.state, found.reason) == ("3", "parked", REASON)


@pytest.mark.parametrize("batch_size", [10, None])
def test_unreadable_records_of_many_entities_are_not_taken_for_a_fault_of_the_node(
    engine: Engine, batch_size: int | None
) -> None:
    letters = Letters(batch_size=batch_size, max_attempts=2)
    letters.write(engine, [1, 2, 3, 4, 5])
    run(engine, "UPDATE letter SET word = 'why?'")
    with scripted_node() as node:
        assert counts(push(engine, letters.service, node.node())) == Counts(refused=5)
        assert counts(push(engine, letters.service, node.node())) == Counts(parked=5)
        assert sent(node.asked) == []
    found = refused_records(engine, push_tables(letters.service, letters.service.protocols[0]))
    assert [record.state for record in found] == ["parked"] * 5


def test_an_unreadable_record_of_a_function_over_objects_is_not_given_to_it(engine: Engine) -> None:
    given: list[int] = []

    def send(letter: Any, node: Any) -> None:
        given.append(letter.id)
        node.post("/push.json", {"letter": {"id": letter.id, "word": letter.word}})

    letters = Letters(send=send)
    letters.write(engine, [1, 2, 3, 1])
    run(engine, "UPDATE letter SET word = 'why?' WHERE id = 3")
    with scripted_node() as node:
        assert counts(push(engine, letters.service, node.node())) == Counts(pushed=3, refused=1)
    assert given == [1, 2, 4]
    assert letters.flags(engine)[3] == (False, REASON)


def results_of(asked: Asked) -> Answer:
    if asked.path == "/status.json":
        return success(4)
    if asked.path == "/pull.json":
        return Answer(
            json.dumps(
                {"status": "success", "value": {str(i): {"score": i} for i in asked.body["ids"]}}
            ).encode()
        )
    return success()


def test_results_are_pulled_by_id_also_for_a_record_that_became_unreadable(engine: Engine) -> None:
    letters = Letters()
    letters.write(engine, [1, 2, 3, 1])
    with scripted_node(results_of) as node:
        push(engine, letters.service, node.node())
        run(engine, "UPDATE letter SET word = 'why?' WHERE id = 3")
        assert pull(engine, letters.service, node.node()).pulled == 4
    assert {flag for flag, _ in letters.flags(engine, "pull").values()} == {True}


def test_a_pull_function_does_not_get_an_unreadable_record(engine: Engine) -> None:
    def fetch(letter: Any, node: Any) -> dict[str, int]:
        del node
        return {"score": letter.id}

    letters = Letters(fetch=fetch)
    letters.write(engine, [1, 2, 3, 1])
    with scripted_node(results_of) as node:
        push(engine, letters.service, node.node())
        run(engine, "UPDATE letter SET word = 'why?' WHERE id = 3")
        report = pull(engine, letters.service, node.node())
    assert (report.pulled, report.failed) == (3, 1)
    assert letters.flags(engine, "pull")[3] == (False, REASON)
