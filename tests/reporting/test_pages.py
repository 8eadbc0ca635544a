"""Markdown pages: their contents, and that text from nodes and records is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pandas as pd
import pytest
from matplotlib.image import imread
from pydantic import SecretStr

from workmesh_flows.adapters.store.conditions import Condition
from workmesh_flows.adapters.store.refused_list import RefusedRecord
from workmesh_flows.domain.node import Inventory, Node, NodeState
from workmesh_flows.operations.counts import Count
from workmesh_flows.operations.probe import Probe
from workmesh_flows.operations.status import Status
from workmesh_flows.planning.refusals import RefusalState
from workmesh_flows.reporting.backlog import Backlog
from workmesh_flows.reporting.charts import history_chart, load_chart
from workmesh_flows.reporting.html import as_html
from workmesh_flows.reporting.lane_table import LANE_COLUMNS
from workmesh_flows.reporting.markdown import link, table
from workmesh_flows.reporting.page_data import FailedRun, PageData, Run
from workmesh_flows.reporting.pages import overview_page, service_page

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
S = "leads.scoring"
PICTURE = "](data:image/png;base64,"


class Anywhere:
    """Links with recognisable addresses."""

    def node(self, name: str) -> str:
        return f"node/{name}"

    def block(self, node: str) -> str:
        return f"block/{node}"

    def service(self, name: str) -> str:
        return f"page/{name}"

    def runs(self, service: str) -> Sequence[Run]:
        return [Run(f"push {service}", "run/1", "Failed", NOW, "1 lane stopped")]

    def actions(self, service: str | None) -> Sequence[tuple[str, str]]:
        return [("scoring-push", f"form/{service}"), ("scoring-replay", f"form/{service}/replay")]


def page_data(*conditions: Condition, reason: str = "no good") -> PageData:
    nodes = {
        name: Node(name, "h", SecretStr("k"), (S,), max_entities={S: 10, "*": 12}) for name in ("n1", "n2")
    }
    count = Count(S, "lead", "n1", owned=True, pending=4, failed=1, in_flight=2, processed=3)
    status = Status(Inventory(nodes), frozenset(), {S: {"n1": (7, 7), None: (2, 2)}}, [count])
    lane = (S, "lead", "n1", "push", None, "open", 5, NOW, 1234, 1, NOW)
    refused = RefusedRecord(S, "lead", "17", "3", "n1", RefusalState.PARKED, 5, 2, NOW, reason)
    history = pd.DataFrame(
        {"time": [NOW, NOW + timedelta(minutes=2)], "service": S, "pending": [10, 4], "processed": [0, 3]}
    )
    return PageData(
        NOW, status, conditions, pd.DataFrame([lane], columns=list(LANE_COLUMNS)), [refused], history
    )


def test_the_overview_shows_all_services_and_nodes_with_links_and_a_load_chart() -> None:
    page = overview_page(page_data(), Anywhere())
    assert "**Nothing needs attention.** As of 2026-11-24 12:00:00 UTC." in page
    assert f"| [{S}](page/{S}) | 1 | 9 | 2 | 4 | 1 | 2 | 3 |" in page
    assert "| [n1](block/n1) | active |" in page
    assert " | [runs](node/n1) |" in page
    assert "| (other) |  |  |  | 2 | 2 |  | 0 | 0 | 0 |  |" in page
    assert "Run: [scoring-push](form/None)" in page
    assert page.count(PICTURE) == 1


def test_the_overview_shows_the_queues_of_nodes_where_any_is_not_empty() -> None:
    data = page_data()
    probes = {
        "n1": Probe(reachable=True, works=True, workload=1_234),
        "n2": Probe(reachable=True, works=True, workload=0),
    }
    page = overview_page(replace(data, status=replace(data.status, probes=probes)), Anywhere())
    assert "| [n1](block/n1) | active | yes | 1,234 | 7 |" in page
    assert "| [n2](block/n2) | active | yes | 0 | 0 |" in page
    assert page.count(PICTURE) == 2, "the load, and the queues"
    assert "![records in the queue of each node]" in page


def test_a_service_page_shows_its_figures_lanes_refused_records_runs_and_forms() -> None:
    page = service_page(S, page_data(), Anywhere())
    assert "| 1 | 9 | 2 | 4 | 1 | 2 | 3 |" in page
    assert f"Run: [scoring-push](form/{S})" in page
    assert "| lead | [n1](block/n1) | push | open | 4 | 1,234 | 1 | 12:00:00 |" in page
    assert "| parked | no good | 5 | 2 | 2026-11-24 12:00:00 | n1 | lead | 3 | 17 |" in page
    assert f"| [push {S}](run/1) | Failed | 12:00:00 | 1 lane stopped |" in page
    assert page.count(PICTURE) == 2, "the backlog over time, and the load"


def test_entities_with_an_unusable_weight_are_listed() -> None:
    data = page_data()
    data = replace(data, status=replace(data.status, unusable={S: [(17, "its weight -1 is no good")]}))
    page = overview_page(data, Anywhere())
    assert (
        f"weights: **[{S}](page/{S})**, 1 entity has a weight that cannot be used: 17: its weight -1 is"
        in page
    )


@pytest.mark.parametrize(
    ("by_weight", "remedy"),
    [
        (0, "Add a node, or raise a cap."),
        (2, "2 entities have weights that cannot be used: correct them (workmesh check), then run assign."),
        (
            1,
            (
                "1 entity has a weight that cannot be used: correct it (workmesh check), then run assign; "
                "for the others add a node, or raise a cap."
            ),
        ),
    ],
)
def test_the_remedy_for_entities_without_a_node_is_to_correct_their_weights_where_these_are_the_cause(
    by_weight: int, remedy: str
) -> None:
    data = page_data(Condition("entities unassigned", S, NOW, "2 entities without a node"))
    status = replace(data.status, unusable_unassigned={S: by_weight})
    assert f"2 entities without a node. {remedy}" in overview_page(replace(data, status=status), Anywhere())


def test_nodes_with_missing_records_are_listed_with_what_to_do() -> None:
    data = page_data()
    counts = [replace(data.status.counts[0], missing=2)]
    page = overview_page(replace(data, status=replace(data.status, counts=counts)), Anywhere())
    assert (
        f"records missing: **[{S}/lead/n1/pull](page/{S})**, the node does not have 2 of the records" in page
    )
    assert "Pull from all nodes; workmesh check lists what is left" in page


def test_a_node_that_rejects_the_key_is_not_called_unreachable() -> None:
    reason = "the node rejects the API key: /api/1.0/ping.json is refused"
    data = page_data(Condition("node unreachable", "n1", NOW, reason))
    status = replace(data.status, probes={"n1": Probe(reachable=True, works=False, problem=reason)})
    page = overview_page(replace(data, status=status), Anywhere())
    assert "node does not work: **n1** since 2026-11-24 12:00:00, the node rejects the API key" in page
    assert "correct the API key, or host, port and path, in its [block](block/n1)." in page


def test_an_unreachable_node_is_listed_once_without_its_lanes() -> None:
    lanes = [
        Condition("lane stopped", f"{S}/lead/{node}/push", NOW, "no connection") for node in ("n1", "n2")
    ]
    page = overview_page(
        page_data(*lanes, Condition("node unreachable", "n1", NOW, "no connection")), Anywhere()
    )
    assert page.startswith("# Mesh\n\n**2 problems need attention.**")
    assert f"lane stopped: **[{S}/lead/n2/push](page/{S})**" in page
    assert "node unreachable: **n1** since 2026-11-24 12:00:00, no connection. " in page
    assert "or fix or disable its [block](block/n1)." in page
    assert f"{S}/lead/n1/push" not in page


def test_parked_records_of_a_protocol_share_one_line_with_their_number() -> None:
    parked = [Condition("record parked", f"{S}/lead/{record}", NOW, "no @") for record in range(40)]
    other = Condition("record parked", f"{S}/open/7", NOW, "no @")
    page = overview_page(page_data(*parked, other), Anywhere())
    assert page.startswith("# Mesh\n\n**2 problems need attention.**")
    assert f"record parked: **[{S}/lead/0](page/{S})** and 39 more of its protocol since " in page
    assert f"record parked: **[{S}/open/7](page/{S})** since " in page


def test_problems_are_sorted_by_urgency_and_no_kind_hides_another() -> None:
    parked = [Condition("record parked", f"{S}/p{number}/1", NOW, "no @") for number in range(15)]
    stopped = [Condition("lane stopped", f"{S}/{what}/n9/push", NOW, "it is gone") for what in ("a", "b")]
    unreachable = Condition("node unreachable", "n1", NOW, "no connection")
    unassigned = Condition("entities unassigned", S, NOW, "3 entities without a node")
    page = overview_page(page_data(*parked, unassigned, *stopped, unreachable), Anywhere())
    assert page.startswith("# Mesh\n\n**18 problems need attention.**")
    lines = [line for line in page.splitlines() if line.startswith("- ")]
    assert [line.partition(":")[0] for line in lines] == [
        "- node unreachable",
        "- lane stopped",
        "- entities unassigned",
        *["- record parked"] * 10,
        "- and 5 more like these",
    ]
    assert f"**[{S}/a/n9/push](page/{S})** and 1 more of its node since" in lines[1]


def test_records_that_a_node_could_not_process_need_attention() -> None:
    data = page_data()
    (count,) = data.status.counts
    status = replace(data.status, counts=[replace(count, unprocessed=2)])
    for page in (overview_page, lambda *given: service_page(S, *given)):
        text = page(replace(data, status=status), Anywhere())
        assert "**One problem needs attention.**" in text
        assert (
            f"records failed: **[{S}/lead/n1/pull](page/{S})**, the node could not process 2 of its records: "
            in text
        )
        assert f"then run [replay](form/{S}/replay) with `failed`." in text


def test_a_long_list_of_failed_records_says_how_many_there_are() -> None:
    data = page_data()
    failed = [replace(data.refused[0], state=RefusalState.FAILED)] * 300
    page = service_page(S, replace(data, refused=failed), Anywhere())
    assert page.count("| failed | no good | ") == 50
    assert page.count("The first 50 of 300 are shown.") == 1
    assert "count failed records as in flight" in page


def test_a_long_reason_is_cut() -> None:
    page = overview_page(page_data(Condition("node unreachable", "n1", NOW, "no " * 200)), Anywhere())
    (line,) = (line for line in page.splitlines() if line.startswith("- "))
    assert "no no …. Its records stay pending" in line
    assert len(line) < 400


def test_an_undeclared_service_of_a_node_is_listed_with_the_node() -> None:
    data = page_data()
    misspelt = Node("n3", "h", SecretStr("k"), ("leads.scorin", S))
    inventory = Inventory({**data.status.inventory.nodes, "n3": misspelt})
    page = overview_page(replace(data, status=replace(data.status, inventory=inventory)), Anywhere())
    assert "Nodes with services that this mesh does not declare: n3 (leads.scorin)." in page
    line = f"**n3**: the mesh has no service leads.scorin: did you mean {S}? Fix its [block](block/n3)."
    assert line in page, "it needs attention"
    assert "does not declare" not in overview_page(page_data(), Anywhere())


def test_problems_come_with_a_remedy_and_only_on_pages_they_concern() -> None:
    stopped = Condition("lane stopped", f"{S}/lead/n1/push", NOW, "no connection")
    elsewhere = Condition("record parked", "mails/mail/1", NOW, "bad")
    page = service_page(S, page_data(stopped, elsewhere), Anywhere())
    assert "**One problem needs attention.**" in page
    assert f"lane stopped: **[{S}/lead/n1/push](page/{S})** since 2026-11-24 12:00:00, no connection" in page
    assert "the next run continues" in page
    assert "mails/mail/1" not in page
    assert "mails/mail/1" in overview_page(page_data(stopped, elsewhere), Anywhere())


@pytest.mark.parametrize(
    "reason", ["[x](javascript:alert(1))", "a | b", "<script>alert(1)</script>", "one\ntwo"]
)
def test_the_reason_a_node_gives_is_escaped_in_its_cell(reason: str) -> None:
    page = service_page(S, page_data(reason=reason), Anywhere())
    html = as_html("t", {"page": page})
    assert "<script>" not in html
    assert 'href="javascript' not in html
    row = next(line for line in page.splitlines() if line.startswith("| parked |"))
    assert row.replace("\\|", "").count("|") == 10, "nine cells"
    text = html.replace("&lt;", "<").replace("&gt;", ">")
    assert " ".join(reason.split()) in text


def test_numbers_are_aligned_right_and_missing_values_are_empty_cells() -> None:
    made = table(("a", "b"), [(1_234, None), (None, float("nan")), (link("x", "y"), True)][:2])
    assert made.splitlines() == ["| a | b |", "|---:|---:|", "| 1,234 |  |", "|  |  |"]
    assert table(("a",), []) == ""


def test_a_long_table_is_cut_with_a_note() -> None:
    assert "The first 50 of 1,200 are shown." in table(("a",), [(n,) for n in range(1_200)])


def failed_run(flow: str, minute: int = 0, message: str = "1 lane failed") -> FailedRun:
    name = f"{flow.rpartition('.')[2]} {flow.rpartition('.')[0]}"
    return FailedRun(flow, name, f"run/{minute}", NOW - timedelta(minutes=minute), message)


def test_a_failed_run_needs_attention_and_runs_of_one_flow_share_a_line() -> None:
    failed = [
        failed_run(f"{S}.push", 1),
        failed_run("mesh.drain", 2, "no [node] left."),
        failed_run(f"{S}.push", 3),
    ]
    data = replace(page_data(), failed_runs=[*failed, failed_run("another.push", 4)])
    overview = overview_page(data, Anywhere())
    assert "Nothing needs attention" not in overview
    assert "**2 problems need attention.**" in overview
    assert (
        f"- run failed: **[push {S}](run/1)** at 2026-11-24 11:59:00, and 1 more of this flow in the last hour: "
        "1 lane failed.\n"
    ) in overview
    line = r"- run failed: **[drain mesh](run/2)** at 2026-11-24 11:58:00: no \[node\] left."
    assert line in overview
    assert line in service_page(S, data, Anywhere()), "a run of the mesh is one of each service"


def with_held(held: dict[str, int], caps: dict[str, int] | None = None, **states: NodeState) -> PageData:
    """Entities on each node, with caps; the states of other nodes than active ones are given by name."""
    nodes = {
        name: Node(
            name,
            "h",
            SecretStr("k"),
            (S,),
            max_entities={S: caps[name]} if caps else {},
            state=states.get(name, NodeState.ACTIVE),
        )
        for name in ("n1", "n2", "n3")
    }
    status = Status(Inventory(nodes), frozenset(), {S: {name: (n, n) for name, n in held.items()}}, [])
    return replace(page_data(), status=status)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        pytest.param(with_held({"n1": 30, "n2": 10, "n3": 11}), "n1 holds 30 entities, n2 10.", id="3 times"),
        pytest.param(with_held({"n1": 29, "n2": 10, "n3": 11}), "", id="less than 3 times"),
        pytest.param(with_held({"n1": 12, "n2": 12}), "n1 holds 12 entities, n3 0.", id="an empty node"),
        pytest.param(with_held({"n1": 10}), "", id="few entities"),
        pytest.param(
            with_held({"n1": 40, "n2": 12, "n3": 20}, {"n1": 100, "n2": 30, "n3": 50}),
            "",
            id="shares of caps are even",
        ),
        pytest.param(
            with_held({"n1": 20, "n2": 20, "n3": 20}, {"n1": 100, "n2": 20, "n3": 50}),
            "n2 holds 20 entities, n1 20.",
            id="shares of caps are uneven",
        ),
        pytest.param(
            with_held({"n1": 20}, n2=NodeState.DRAINING, n3=NodeState.DISABLED), "", id="a single active node"
        ),
        pytest.param(with_held({"n1": 20, "n2": 20}, n3=NodeState.STANDBY), "", id="an empty standby node"),
    ],
)
def test_a_node_three_times_as_full_as_another_needs_attention(data: PageData, line: str) -> None:
    for page in (overview_page(data, Anywhere()), service_page(S, data, Anywhere())):
        if line:
            assert f"- uneven load: **[{S}](page/{S})**, {line} Run rebalance." in page
        else:
            assert "uneven load" not in page


def test_throughput_is_records_processed_between_two_runs_and_never_negative() -> None:
    minutes = [0, 0.1, 2, 3, 4]
    history = pd.DataFrame(
        {
            "time": [NOW + timedelta(minutes=m) for m in minutes],
            "service": S,
            "pending": [10, 4, 4, 0, 9],
            "processed": [5, 373, 373, 383, 2],
        }
    )
    found = Backlog.of(S, history, complete=True)
    assert list(found.pending) == [10, 4, 4, 0, 9]
    assert list(found.processed) == [5, 368, 0, 10, 0], "no extrapolation from the seconds between two runs"
    assert Backlog.of(S, history, complete=False).processed == [0, 368, 0, 10, 0]
    assert not Backlog.of("another", history, complete=True).times
    assert not Backlog.of(S, pd.DataFrame(), complete=True).times


def test_charts_of_different_data_are_different_pictures() -> None:
    charts = {
        load_chart(["n1"], [5], [None], "entities"),
        load_chart(["n1"], [6], [None], "entities"),
        load_chart(["n1"], [6], [8], "entities"),
        load_chart([], [], [], "entities"),
        history_chart([NOW, NOW + timedelta(hours=1)], [1, 2], [0, 0]),
        history_chart([NOW, NOW + timedelta(hours=1)], [1, 2], [0, 3]),
    }
    assert len(charts) == 6
    assert all(chart.startswith(b"\x89PNG") and len(chart) < 60_000 for chart in charts)


def test_processed_records_are_drawn_as_bars_at_their_run() -> None:
    times = [NOW, NOW + timedelta(minutes=1), NOW + timedelta(minutes=10)]
    picture = imread(BytesIO(history_chart(times, [0, 0, 0], [0, 60, 0])))
    blue = (picture[..., 2] - picture[..., 0] > 0.2) & (picture[..., 3] > 0.5)
    bar = blue.sum(axis=0) > 20  # columns with more blue than a line
    assert 2 <= bar.sum() <= 8


def test_charts_are_legible_on_dark_and_on_light_pages() -> None:
    for chart in (
        load_chart(["n1"], [6], [8], "entities"),
        history_chart([NOW, NOW + timedelta(hours=1)], [1, 2], [0, 3]),
    ):
        picture = imread(BytesIO(chart))
        assert (picture[..., 3] == 0).mean() > 0.3, "the page's own ground shows"
        solid = picture[picture[..., 3] == 1][:, :3]
        assert solid.min(axis=0).max() < 0.75, "nothing is drawn in white only"
        bright = solid @ [0.2126, 0.7152, 0.0722]
        assert 0.25 < bright.min() < bright.max() < 0.75, "neither as dark nor as bright as a page"
