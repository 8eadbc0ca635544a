"""The input of the pages about a mesh: its data, and the targets of their links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import pandas as pd

from workmesh_flows.adapters.store.conditions import Condition
from workmesh_flows.adapters.store.refused_list import RefusedRecord
from workmesh_flows.operations.status import Status


class Links(Protocol):
    """Addresses for the links of a page; an empty text means no link."""

    def node(self, name: str) -> str: ...
    def block(self, node: str) -> str: ...
    def service(self, name: str) -> str: ...
    def runs(self, service: str) -> Sequence[Run]: ...
    def actions(self, service: str | None) -> Sequence[tuple[str, str]]: ...


@dataclass(frozen=True, slots=True)
class Run:
    """A flow run as listed on a page."""

    name: str
    address: str
    state: str
    started: datetime | None
    message: str


@dataclass(frozen=True, slots=True)
class PageData:
    """The input of all pages; ``history`` has the services tables of earlier runs, oldest first."""

    now: datetime
    status: Status
    conditions: Sequence[Condition]
    lanes: pd.DataFrame
    refused: Sequence[RefusedRecord]
    history: pd.DataFrame
