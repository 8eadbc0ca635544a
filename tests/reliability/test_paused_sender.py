"""A master that was paused between two batches sends no request if another run has acquired its lane."""

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
from tests.reliability.paused_masters import BATCH, FINISHED, LEASE, LOST, pull_and_pause, push_and_pause
from tests.support.counts import Counts, counts
from tests.support.shop import shop_service, with_push_success, write_orders, write_shops
from workmesh_flows.domain.node import Node
from workmesh_flows.operations.moves.reassign import reassign

COUNT = 20


@contextmanager
def paused_master(
    engine: Engine, node: Node, run: Callable[[str, Node], None] = push_and_pause
) -> Iterator[multiprocessing.process.BaseProcess]:
    """A process that has flagged one batch and is stopped, with its lease expired."""
    url = engine.url.render_as_string(hide_password=False)
    process = multiprocessing.get_context("spawn").Process(target=run, args=(url, node))
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


def resume(process: multiprocessing.process.BaseProcess) -> int | None:
    assert process.pid is not None
    os.kill(process.pid, signal.SIGCONT)
    process.join(30)
    return process.exitcode


@pytest.mark.skipif(not hasattr(os, "WUNTRACED"), reason="processes cannot be stopped here")
def test_a_resumed_master_sends_nothing_of_an_entity_that_was_moved(engine: Engine) -> None:
    service = shop_service(batch_size=BATCH)
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * COUNT)
    with two_nodes() as (one, two, n1, n2):
        with paused_master(engine, n1) as process:
            assert reassign(moving(engine, service, n1, n2), 1).moved == 1
            assert resume(process) == LOST
        assert sent_ids(one.asked) == list(range(1, BATCH + 1)), "n1 does not know the later epoch"
        push(engine, service, n2)
        assert sent_ids(two.asked) == list(range(1, COUNT + 1))


def test_a_resumed_master_continues_if_no_other_run_acquired_its_lane(engine: Engine) -> None:
    service = shop_service(batch_size=BATCH)
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * COUNT)
    with two_nodes() as (one, _, n1, _n2):
        with paused_master(engine, n1) as process:
            assert resume(process) == FINISHED
        assert sent_ids(one.asked) == list(range(1, COUNT + 1))
        assert push(engine, service, n1).selected == 0
    assert with_push_success(engine, True) == list(range(1, COUNT + 1))


def test_a_resumed_master_requests_no_results_that_another_run_has_pulled(engine: Engine) -> None:
    service = shop_service(batch_size=BATCH)
    write_shops(engine, ["n1"])
    write_orders(engine, [1] * COUNT)
    with two_nodes(processing(upto=lambda: COUNT)) as (one, _, n1, _n2):
        push(engine, service, n1)
        with paused_master(engine, n1, pull_and_pause) as process:
            assert counts(pull(engine, service, n1)) == Counts(pulled=10)
            assert resume(process) == LOST
        asked = [request.body["ids"] for request in one.asked if request.path == PULL]
    assert asked == [list(range(1, 11)), list(range(11, COUNT + 1))]
