"""The key of a record: its service, its protocol and its id."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class RecordKey:
    """Identifies a record in conditions and events; ``record`` is the text of its id."""

    service: str
    protocol: str
    record: str

    @property
    def subject(self) -> str:
        """Its name in conditions and events: ``micro.emails.timeline/delivery/4711``."""
        return f"{self.service}/{self.protocol}/{self.record}"

    @classmethod
    def from_subject(cls, subject: str) -> Self:
        """The key that ``subject`` names; an id may have slashes, or be empty. Raises ValueError for any other text."""
        match subject.split("/", maxsplit=2):
            case [service, protocol, record] if service and protocol:
                return cls(service, protocol, record)
        raise ValueError(f"{subject!r} names no record: expected service/protocol/record")
