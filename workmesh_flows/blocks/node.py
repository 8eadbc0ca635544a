"""The node as a Prefect block: one document per node, edited in the UI or by code.

Prefect servers import this module, so it must load fast: it imports neither pandas nor paramiko nor our HTTP client.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from prefect.blocks.core import Block
from prefect.types import SecretDict
from pydantic import BaseModel, ConfigDict, Field, HttpUrl, SecretStr, field_validator, model_validator

from workmesh_flows.blocks.connection import checked_headers, checked_path, checked_proxy
from workmesh_flows.domain.node import ALL_SERVICES, Node, NodeState

HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")


SITE = "https://workmesh-flows.readthedocs.io/en/latest"
"""Address of the published documentation; Prefect's pages can show a logo only from an address."""


def _plain(schema: dict[str, Any]) -> None:
    """Make the schema of an optional field plain: if null is among its types, a form asks for the type first."""
    only = next(kind for kind in schema.pop("anyOf") if kind != {"type": "null"})
    schema.pop("default", None)
    schema.update(only)


class ServiceLimits(BaseModel):
    """Caps of a node for one service."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    service: str = Field(description="Name of the service, as in the list of services above.")
    max_entities: int | None = Field(
        default=None,
        ge=0,
        description="Maximum number of entities. Empty: no limit.",
        json_schema_extra=_plain,
    )
    max_weight: int | None = Field(
        default=None,
        ge=0,
        description="Maximum total weight, if the service weighs its entities. Empty: no limit.",
        json_schema_extra=_plain,
    )
    max_batch: int | None = Field(
        default=None,
        ge=1,
        description="Maximum number of records per request. Empty: the batch size of the protocol.",
        json_schema_extra=_plain,
    )
    max_rate: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Maximum number of records sent per second. Empty: no limit.",
        json_schema_extra=_plain,
    )


class WorkmeshNode(Block):
    """A machine that runs one or more micro-services.

    The name of the block is the name of the node. The assignment column of each assigned entity contains this name.

    Example:
        Load a node:
        ```python
        from workmesh_flows.blocks import WorkmeshNode

        node = WorkmeshNode.load("BLOCK_NAME")
        print(node.host, node.services)
        ```
    """

    model_config = ConfigDict(hide_input_in_errors=True)

    _block_type_name = "Workmesh Node"
    _block_type_slug = "workmesh-node"
    _logo_url = HttpUrl(f"{SITE}/assets/logo.png")
    _documentation_url = HttpUrl(f"{SITE}/nodes/")
    _description = "A machine that runs micro-services: its address, its services, its caps."

    host: str = Field(
        description="Host name or IP address, without scheme, port or path.", examples=["10.0.0.7"]
    )
    port: int = Field(default=80, ge=1, le=65535, description="TCP port of the micro-services.")
    scheme: Literal["http", "https"] = Field(default="http", description="http, or https with a certificate.")
    api_key: SecretStr = Field(
        title="API key", description="The key that the micro-services expect in each request."
    )
    services: list[str] = Field(
        description="Names of the services that the node runs, as the mesh declares them.",
        examples=[["micro.emails.timeline"]],
    )
    state: Literal["active", "draining", "standby", "disabled"] = Field(
        default="active",
        description=(
            "active: takes entities. draining, standby: takes no new entities; existing records are still "
            "processed. disabled: not contacted."
        ),
    )
    max_entities: int | None = Field(
        default=None,
        title="Max entities, all services",
        ge=0,
        description="Maximum number of entities of all services together. Empty: no limit.",
        json_schema_extra=_plain,
    )
    limits: list[ServiceLimits] = Field(
        default_factory=list, description="Caps per service. A service that is not listed has no caps."
    )
    verify: bool = Field(
        default=True,
        title="Verify certificate",
        description="Check the server's certificate. With https only.",
    )
    ca_file: str | None = Field(
        default=None,
        title="CA file",
        description="With https: path of a CA file on the workers, for your own certificates.",
        json_schema_extra=_plain,
    )
    client_certificate: str | None = Field(
        default=None,
        description=(
            "With https: path of a PEM file on the workers with a client certificate, and its key unless the next "
            "field names it."
        ),
        json_schema_extra=_plain,
    )
    client_key: str | None = Field(
        default=None,
        description="Path of a PEM file on the workers with the key of the client certificate.",
        json_schema_extra=_plain,
    )
    client_key_password: SecretStr | None = Field(
        default=None,
        description="Password of the key of the client certificate. Empty: it has none.",
        json_schema_extra=_plain,
    )
    path: str | None = Field(
        default=None,
        description="With a gateway: the path before /api/1.0, as in /workmesh.",
        json_schema_extra=_plain,
    )
    headers: SecretDict | None = Field(
        default=None,
        description='With a gateway: headers of each request, by name, as in {"X-Gateway-Token": "..."}.',
        json_schema_extra=_plain,
    )
    proxy: SecretStr | None = Field(
        default=None,
        description="Address of the proxy for requests to this node. Empty: no proxy, whatever the environment says.",
        json_schema_extra=_plain,
    )
    tags: list[str] = Field(
        default_factory=list, description="Free labels for your own use; Workmesh ignores them."
    )

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
        message = "the API key must not be empty"
        raise ValueError(message)

    @field_validator("path")
    @classmethod
    def _path_valid(cls, path: str | None) -> str | None:
        return checked_path(path)

    @field_validator("headers")
    @classmethod
    def _headers_valid(cls, headers: SecretDict | None) -> SecretDict | None:
        found = checked_headers(headers.get_secret_value()) if headers is not None else {}
        return SecretDict(found) if found else None

    @field_validator("proxy")
    @classmethod
    def _proxy_valid(cls, proxy: SecretStr | None) -> SecretStr | None:
        found = checked_proxy(proxy.get_secret_value()) if proxy is not None else None
        return None if found is None else SecretStr(found)

    @field_validator("ca_file", "client_certificate", "client_key")
    @classmethod
    def _empty_is_none(cls, text: str | None) -> str | None:
        """A form sends an empty text for a field that was filled in and cleared again."""
        return text or None

    @field_validator("client_key_password")
    @classmethod
    def _no_password_is_none(cls, password: SecretStr | None) -> SecretStr | None:
        return password or None  # as above

    @field_validator("services")
    @classmethod
    def _services_named(cls, services: list[str]) -> list[str]:
        if services and all(service.strip() for service in services):
            return list(dict.fromkeys(service.strip() for service in services))
        message = "name at least one service; no name may be empty"
        raise ValueError(message)

    @model_validator(mode="after")
    def _client_certificate_usable(self) -> WorkmeshNode:
        for field in ("client_key", "client_key_password"):
            if getattr(self, field) and not self.client_certificate:
                message = f"{field} is given, but no client_certificate"
                raise ValueError(message)
        if self.client_certificate and self.scheme != "https":
            message = "client_certificate needs the scheme https"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _limits_make_sense(self) -> WorkmeshNode:
        named = [limit.service for limit in self.limits]
        if unknown := sorted(set(named) - set(self.services)):
            message = f"limits name {', '.join(unknown)}, which the node does not run"
            raise ValueError(message)
        if twice := sorted({service for service in named if named.count(service) > 1}):
            message = f"limits name {', '.join(twice)} twice"
            raise ValueError(message)
        return self

    def to_node(self, name: str) -> Node:
        """The node as a domain object, under the name of its document."""

        def given(field: str) -> dict[str, Any]:
            values = {limit.service: getattr(limit, field) for limit in self.limits}
            return {service: value for service, value in values.items() if value is not None}

        headers = self.headers.get_secret_value() if self.headers is not None else {}
        shared = {} if self.max_entities is None else {ALL_SERVICES: self.max_entities}
        return Node(
            name=name,
            host=self.host,
            api_key=self.api_key,
            services=tuple(self.services),
            port=self.port,
            scheme=self.scheme,
            verify=self.verify,
            ca_file=self.ca_file,
            client_certificate=self.client_certificate,
            client_key=self.client_key,
            client_key_password=self.client_key_password,
            path=self.path or "",
            headers={name: SecretStr(value) for name, value in headers.items()},
            proxy=self.proxy,
            max_weight=given("max_weight"),
            max_entities=given("max_entities") | shared,
            max_batch=given("max_batch"),
            max_rate=given("max_rate"),
            state=NodeState(self.state),
            tags=tuple(self.tags),
        )
