"""A master that was paused between two batches asks for no more where its lane is another one's by then."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine

from tests.operations.delivery.lane_runs import PULL, pull, push, sent_ids
from tests.operations.moves.movers import moving, two_nodes
from tests.operations.moves.test_hand_over import processing
from tests.reliability.paused_masters import BATCH, LEASE, LOST, WENT_ON, pull_and_pause, push_and_pause
from tests.support.counts import Counts, counts
from tests.support.shop import shop_service, with_push_success, write_orders, write_shops
from workmesh_flows.domain.node import Node
from workmesh_flows.operations.moves.reassign import reassign

COUNT = 20


@contextmanager
def paused_master(
    engine: Engine, node: Node, work: Callable[[str, Node], None] = push_and_pause
) -> Iterator[multiprocessing.process.BaseProcess]:
    """It has flagged one batch, and stands still until it is told to go on; its lease has run out."""
    url = engine.url.render_as_string(hide_password=False)
    process = multiprocessing.get_context("spawn").Process(target=work, args=(url, node))
    process.start()
    try:
        assert process.pid is not None
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        time.sleep(2 * LEASE)
        yield process
    finally:
        process.kill()
        process.join()


def gone_on(process: multiprocessing.process.BaseProcess) -> int | None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGCONT)
    process.join(30)
    return process.exitcode


@pytest.mark.skipif(not hasattr(os, "WUNTRACED"), reason="no processes that can be stopped")
def test_it_sends_nothing_of_an_entity_that_was_moved_meanwhile(engine: Engine) -> None:
    service = shop_service(batch_size=BATCH)
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * COUNT)
    with two_nodes() as (one, two, n1, n2):
        with paused_master(engine, n1) as process:
            assert reassign(moving(engine, service, n1, n2), 1).moved == 1
            assert gone_on(process) == LOST
        assert sent_ids(one.asked) == list(range(1, BATCH + 1)), "n1 has never heard of the later epoch"
        push(engine, service, n2)
        assert sent_ids(two.asked) == list(range(1, COUNT + 1))


def test_it_takes_its_lane_up_again_where_nobody_else_did(engine: Engine) -> None:
    service = shop_service(batch_size=BATCH)
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * COUNT)
    with two_nodes() as (one, _, n1, _n2):
        with paused_master(engine, n1) as process:
            assert gone_on(process) == WENT_ON
        assert sent_ids(one.asked) == list(range(1, COUNT + 1))
        assert push(engine, service, n1).selected == 0
    assert with_push_success(engine, True) == list(range(1, COUNT + 1))


def test_it_asks_for_no_more_results_where_another_run_has_pulled_them(engine: Engine) -> None:
    service = shop_service(batch_size=BATCH)
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * COUNT)
    with two_nodes(processing(upto=lambda: COUNT)) as (one, _, n1, _n2):
        push(engine, service, n1)
        with paused_master(engine, n1, pull_and_pause) as process:
            assert counts(pull(engine, service, n1)) == Counts(pulled=10)
            assert gone_on(process) == LOST
        asked = [request.body["ids"] for request in one.asked if request.path == PULL]
    assert asked == [list(range(1, 11)), list(range(11, COUNT + 1))]
