"""What pages about a mesh are made from: its facts, and where their links lead."""

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
    """Where a page's links lead; an empty text where there is nothing to lead to."""

    def node(self, name: str) -> str: ...
    def block(self, node: str) -> str: ...
    def service(self, name: str) -> str: ...
    def runs(self, service: str) -> Sequence[Run]: ...
    def actions(self, service: str | None) -> Sequence[tuple[str, str]]: ...


@dataclass(frozen=True, slots=True)
class Run:
    """A flow run, as a page lists it."""

    name: str
    address: str
    state: str
    began: datetime | None
    message: str


@dataclass(frozen=True, slots=True)
class PageData:
    """All that pages are made from; ``history`` has a backlog for each service, the oldest first."""

    now: datetime
    status: Status
    conditions: Sequence[Condition]
    lanes: pd.DataFrame
    refused: Sequence[RefusedRecord]
    history: pd.DataFrame
