from __future__ import annotations

from pathlib import Path

import pytest
from prefect.types import SecretDict
from pydantic import SecretStr

from workmesh_flows.blocks import ServiceLimits, WorkmeshNode
from workmesh_flows.errors import ConfigurationError
from workmesh_flows.inventory.yaml_file import former_content, read_file, write_file

KEY = "{2C1D3C52-0C1B-4E7A-8D3F-5B6C7D8E9F01}"
GOOD = """
n1:
  host: 10.0.0.7
  port: 8080
  api_key: ${N1_KEY}
  services: [leads.scoring]
  limits:
    - {service: leads.scoring, max_entities: 5000}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("N1_KEY", KEY)
    return tmp_path / "nodes.yaml"


def refusal(file: Path, text: str, stored: dict[str, WorkmeshNode] | None = None) -> str:
    file.write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        read_file(file, stored or {})
    assert KEY not in str(refused.value)
    return str(refused.value)


def test_the_api_key_of_a_node_is_read_from_the_environment(file: Path) -> None:
    file.write_text(GOOD)
    node = read_file(file, {})["n1"]
    assert (node.host, node.port, node.services) == ("10.0.0.7", 8080, ["leads.scoring"])
    assert node.limits == [ServiceLimits(service="leads.scoring", max_entities=5000)]
    assert node.api_key.get_secret_value() == KEY


def test_a_stored_node_keeps_its_key_if_the_file_names_none(file: Path) -> None:
    stored = WorkmeshNode(host="10.0.0.1", api_key=SecretStr(KEY), services=["leads.scoring"])
    file.write_text("n1: {host: 10.0.0.2, services: [leads.scoring]}")
    node = read_file(file, {"n1": stored})["n1"]
    assert (node.host, node.api_key.get_secret_value()) == ("10.0.0.2", KEY)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(GOOD.replace("${N1_KEY}", KEY), "api_key must name an environment variable", id="a key in the file"),
        pytest.param(GOOD.replace("${N1_KEY}", "'${NOT_SET}'"), "the environment variable NOT_SET for its api_key is not set", id="a variable that is not set"),
        pytest.param("n1: {host: a, services: [s]}", "as in ${WORKMESH_KEY_N1}", id="a new node without a key"),
        pytest.param(GOOD.replace("host", "hots"), "unknown fields: hots; the fields of a node are host", id="an unknown field"),
        pytest.param(GOOD.replace("8080", "80800"), "n1: port must be at most 65535", id="an invalid value"),
        pytest.param(GOOD.replace("n1:", "N 1:"), "N 1: a node's name consists of", id="an invalid name"),
        pytest.param(GOOD + GOOD, "the node n1 is written twice, in line 2 and in line 10", id="the same node twice"),
        pytest.param(GOOD + "  port: 9\n", "n1: the field port is written twice, in line 4 and in line 9", id="the same field twice"),
        pytest.param(GOOD.replace("5000}", "5000, service: a}"), "n1: the field service is written twice, in line 8 and in line 8", id="the same field of a limit twice"),
        pytest.param(GOOD + "  headers: {X-Token: plain}", "n1: header X-Token must name an environment variable, as in ${WORKMESH_HEADERS_X_TOKEN_N1}", id="a header in the file"),
        pytest.param(GOOD + "  headers: {X-Token: '${NOT_SET}'}", "the environment variable NOT_SET for its header X-Token is not set", id="a header whose variable is not set"),
        pytest.param(GOOD + "  headers: plain", "n1: headers must have the name of each header", id="a text as headers"),
        pytest.param(GOOD + "  headers: {Host: '${N1_KEY}'}", "n1: headers: the header Host is set by Workmesh", id="a reserved header"),
        pytest.param(GOOD + f"  proxy: http://u:{KEY}@proxy:3128", "n1: proxy must name an environment variable, as in ${WORKMESH_PROXY_N1}", id="a proxy's password in the file"),
        pytest.param(GOOD + "  proxy: '${NOT_SET}'", "the environment variable NOT_SET for its proxy is not set", id="a proxy whose variable is not set"),
        pytest.param(GOOD + "  proxy: ftp://proxy", "n1: proxy: the proxy must be an address such as", id="an invalid proxy"),
        pytest.param(GOOD + f"  client_key_password: {KEY}", "n1: client_key_password must name an environment variable, as in ${WORKMESH_CLIENT_KEY_PASSWORD_N1}", id="a password in the file"),
        pytest.param("- n1", "write each node under its name", id="a list in place of names"),
        pytest.param("n1: 7", "n1: write its fields below its name", id="a number in place of fields"),
        pytest.param(f"n1: {{api_key: '{KEY}", "is not YAML", id="a syntax error"),
    ],
)  # fmt: skip
def test_a_problem_is_reported_with_its_node_and_without_a_key(file: Path, text: str, problem: str) -> None:
    assert problem in refusal(file, text)


def test_all_problems_of_a_file_are_reported_together(file: Path) -> None:
    both = refusal(file, GOOD.replace("8080", "0") + GOOD.replace("n1", "n2").replace("10.0.0.7", "a b"))
    assert "n1: port" in both
    assert "n2: host" in both
    assert "nothing was changed" in both


def test_all_problems_of_a_node_are_reported_together(file: Path) -> None:
    text = (
        GOOD.replace("n1", "N1").replace("host:", "hots:").replace("8080", "0").replace("N1_KEY", "NOT_SET")
    )
    lines = refusal(file, text + "  port: 7\n").splitlines()
    assert [line.partition(";")[0] for line in lines[1:]] == [
        "  N1: the field port is written twice, in line 4 and in line 9",
        "  N1: a node's name consists of lower-case letters, digits and dashes",
        "  N1: unknown fields: hots",
        "  N1: the environment variable NOT_SET for its api_key is not set",
        "  N1: host is not filled in",
    ]


def test_a_stored_node_keeps_its_state_if_the_file_names_none(file: Path) -> None:
    stored = WorkmeshNode(host="10.0.0.7", api_key=SecretStr(KEY), services=["s"], state="draining")
    file.write_text(GOOD)
    assert read_file(file, {"n1": stored})["n1"].state == "draining"
    file.write_text(GOOD + "  state: active\n")
    assert read_file(file, {"n1": stored})["n1"].state == "active"
    file.write_text(GOOD)
    assert read_file(file, {})["n1"].state == "active"


def test_headers_and_proxies_are_read_from_the_environment(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "Bearer abcdef")
    monkeypatch.setenv("PROXY", "http://u:pw@proxy:3128")
    file.write_text(GOOD + "  headers: {Authorization: '${TOKEN}'}\n  proxy: ${PROXY}\n  path: /gate/\n")
    node = read_file(file, {})["n1"].to_node("n1")
    assert {name: value.get_secret_value() for name, value in node.headers.items()} == {
        "Authorization": "Bearer abcdef"
    }
    assert node.proxy is not None
    assert (node.path, node.proxy.get_secret_value()) == ("/gate", "http://u:pw@proxy:3128")
    file.write_text(GOOD + "  proxy: http://proxy:3128\n")
    plain = read_file(file, {})["n1"].proxy
    assert plain is not None
    assert plain.get_secret_value() == "http://proxy:3128", "an address without a password is no secret"


def test_a_written_file_keeps_the_variables_that_it_named_before(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "Bearer abcdef")
    file.write_text(GOOD + "  headers: {X-Token: '${TOKEN}'}\n")
    nodes = read_file(file, {})
    nodes["n1"].headers = SecretDict({"X-Token": "Bearer abcdef", "X-New": "another"})
    nodes["n2"] = WorkmeshNode(host="b", api_key=SecretStr(KEY), services=["s"])
    text = write_file(nodes, former_content(file))
    for line in (
        "${N1_KEY}",
        "X-Token: ${TOKEN}",
        "X-New: ${WORKMESH_HEADERS_X_NEW_N1}",
        "${WORKMESH_KEY_N2}",
    ):
        assert line in text
    assert "abcdef" not in text
    assert former_content(file.with_name("none.yaml")) == {}


def test_the_error_for_a_missing_file_names_it(file: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nodes\.yaml cannot be read: No such file"):
        read_file(file, {})


def test_an_empty_file_has_no_nodes(file: Path) -> None:
    file.write_text("# none yet\n")
    assert read_file(file, {}) == {}


def test_a_written_file_reads_back_as_the_same_nodes_and_holds_no_key(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = {
        "n-1": WorkmeshNode(
            host="10.0.0.1",
            port=8080,
            scheme="https",
            api_key=SecretStr(KEY),
            services=["leads.scoring", "leads.mail"],
            state="standby",
            max_entities=10,
            limits=[ServiceLimits(service="leads.mail", max_rate=0.5)],
            tags=["eu"],
            path="/gate",
            client_certificate="/etc/client.pem",
            client_key_password=SecretStr(KEY),
            headers=SecretDict({"X-Token": KEY}),
            proxy=SecretStr(f"http://u:{KEY}@proxy:3128"),
        ),
        "n2": WorkmeshNode(host="n2.example", api_key=SecretStr(KEY), services=["leads.scoring"]),
    }
    text = write_file(nodes)
    assert KEY not in text
    assert "verify" not in text, "fields at their defaults are left out"
    file.write_text(text)
    for variable in ("WORKMESH_KEY_N_1", "WORKMESH_KEY_N2"):
        monkeypatch.setenv(variable, KEY)
    monkeypatch.setenv("WORKMESH_HEADERS_X_TOKEN_N_1", KEY)
    monkeypatch.setenv("WORKMESH_CLIENT_KEY_PASSWORD_N_1", KEY)
    monkeypatch.setenv("WORKMESH_PROXY_N_1", f"http://u:{KEY}@proxy:3128")
    assert read_file(file, {}) == nodes


def test_without_nodes_the_file_is_empty() -> None:
    assert write_file({}) == ""
