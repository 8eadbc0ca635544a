"""The node as a Prefect block: one document a node, kept in the UI or by code.

Prefect servers import this module: it loads no pandas, paramiko or httpx of ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import inf
from typing import Literal

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, SecretStr, field_validator, model_validator

from workmesh_flows.domain.node import ALL_SERVICES, Node, NodeState

HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")


class WorkmeshNode(Block):
    """A machine that runs one or more micro-services.

    The name of the document is the name of the node: what stands in the column of an assigned entity.

    Example:
        ```python
        from workmesh_flows.blocks import WorkmeshNode

        WorkmeshNode(
            host="10.0.0.7", port=8080, api_key="...", services=["micro.emails.timeline"]
        ).save("n1", overwrite=True)
        ```
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    _block_type_name = "Workmesh Node"
    _block_type_slug = "workmesh-node"
    _description = "A machine that runs micro-services: where it is, what it runs, how much it carries."

    host: str = Field(
        description="Host name or IP address, without scheme, port or path.", examples=["10.0.0.7"]
    )
    port: int = Field(default=80, ge=1, le=65535, description="TCP port of the micro-services.")
    scheme: Literal["http", "https"] = Field(default="http", description="How to talk to it.")
    api_key: SecretStr = Field(
        title="API key", description="The key that the micro-services expect in each request."
    )
    services: list[str] = Field(
        description="Names of the services it runs, as the mesh declares them.",
        examples=[["micro.emails.timeline"]],
    )
    state: Literal["active", "draining", "standby", "disabled"] = Field(
        default="active",
        description="active: takes entities. draining, standby: takes nothing new, is worked. disabled: left alone.",
    )
    max_entities: dict[str, int] = Field(
        default_factory=dict,
        description=(
            'Most entities it may hold, by service: {"micro.emails.timeline": 5000}. '
            'Under "*": over all services together.'
        ),
    )
    max_weight: dict[str, int] = Field(
        default_factory=dict,
        description='Most weight it may carry, by service: {"micro.emails.timeline": 500}.',
    )
    max_batch: dict[str, int] = Field(
        default_factory=dict,
        description='Most records in one request, by service: {"micro.emails.timeline": 100}.',
    )
    max_rate: dict[str, float] = Field(
        default_factory=dict,
        description='Most records it is sent in a second, by service: {"micro.emails.timeline": 50}.',
    )
    verify: bool = Field(default=True, title="Verify certificate", description="With https only.")
    ca_file: str | None = Field(
        default=None,
        title="CA file",
        description="With https: path of a CA file on the workers, for certificates of your own.",
    )
    ssh_credentials: str | None = Field(
        default=None,
        title="SSH credentials",
        description="Name of the SSH credentials block that opens a shell on it.",
    )
    tags: list[str] = Field(default_factory=list, description="Words of your own, to choose nodes by.")

    @field_validator("host")
    @classmethod
    def _host_alone(cls, host: str) -> str:
        if HOST.fullmatch(host.strip()):
            return host.strip()
        message = "the host must be a name or an IP address alone, without scheme, port, path or spaces"
        raise ValueError(message)

    @field_validator("api_key")
    @classmethod
    def _key_there(cls, key: SecretStr) -> SecretStr:
        if key.get_secret_value().strip():
            return key
        message = "the api key must not be empty"
        raise ValueError(message)

    @field_validator("services")
    @classmethod
    def _services_named(cls, services: list[str]) -> list[str]:
        if services and all(service.strip() for service in services):
            return list(dict.fromkeys(service.strip() for service in services))
        message = "name at least one service, and no empty ones"
        raise ValueError(message)

    @model_validator(mode="after")
    def _caps_make_sense(self) -> WorkmeshNode:
        if ALL_SERVICES in self.max_weight:
            message = (
                f'max_weight takes no "{ALL_SERVICES}": each service weighs in a unit of its own, so that weights of '
                "different services do not add up; name the services, or cap max_entities"
            )
            raise ValueError(message)
        for field, caps in (("max_entities", self.max_entities), ("max_weight", self.max_weight)):
            self._check_names(field, caps, {*self.services, ALL_SERVICES})
            if low := sorted(service for service, cap in caps.items() if cap < 0):
                message = f"{field} of {', '.join(low)} must not be below 0"
                raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _limits_make_sense(self) -> WorkmeshNode:
        self._check_names("max_batch", self.max_batch, set(self.services))
        self._check_names("max_rate", self.max_rate, set(self.services))
        if low := sorted(service for service, most in self.max_batch.items() if most < 1):
            message = f"max_batch of {', '.join(low)} must be at least 1; to leave a node alone, disable it"
            raise ValueError(message)
        if odd := sorted(service for service, most in self.max_rate.items() if not 0 < most < inf):
            message = (
                f"max_rate of {', '.join(odd)} must be a number above 0; to leave a node alone, disable it"
            )
            raise ValueError(message)
        return self

    @staticmethod
    def _check_names(field: str, given: Mapping[str, object], known: set[str]) -> None:
        if strangers := sorted(set(given) - known):
            message = f"{field} names {', '.join(strangers)}, which the node does not run"
            raise ValueError(message)

    def to_node(self, name: str) -> Node:
        """The node as the rest of the package knows it."""
        return Node(
            name=name,
            host=self.host,
            api_key=self.api_key,
            services=tuple(self.services),
            port=self.port,
            scheme=self.scheme,
            verify=self.verify,
            ca_file=self.ca_file,
            max_weight=dict(self.max_weight),
            max_entities=dict(self.max_entities),
            max_batch=dict(self.max_batch),
            max_rate=dict(self.max_rate),
            state=NodeState(self.state),
            tags=tuple(self.tags),
        )
