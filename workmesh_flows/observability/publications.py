"""A run publishes an artifact if its content has changed, or if its last version is at least ten minutes old.

So the server keeps few versions in which only the time differs, and an artifact that a user deleted is published again
after ten minutes. If a run dies after it published an artifact and before it saved the digest, the next run publishes the
artifact a second time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from prefect.settings import get_current_settings

from workmesh_flows.adapters.store.engine import database_clock
from workmesh_flows.adapters.store.published import Published, read_published, save_published
from workmesh_flows.reporting.content_digest import content_digest

if TYPE_CHECKING:
    from sqlalchemy import Engine

RENEWED = timedelta(minutes=10)
"""Age at which an artifact is published again although it has not changed."""


@dataclass(slots=True)
class Publications:
    """What was published before by each key, and what this run publishes; ``always`` publishes everything."""

    before: Mapping[str, Published]
    now: datetime
    always: bool = False
    digests: dict[str, str] = field(default_factory=dict)

    def publish(self, key: str, content: object, create: Callable[[], object]) -> None:
        """Call ``create`` unless an artifact with this content, which has no times, was published a short time ago."""
        digest = content_digest(content)
        known = self.before.get(key)
        if (
            self.always
            or known is None
            or known.digest != digest
            or abs(self.now - known.at) >= RENEWED  # in the future: a clock was set back
        ):
            create()
            self.digests[key] = digest


@contextmanager
def publications(engine: Engine, *, always: bool = False) -> Iterator[Publications]:
    """The publications of a run; what was published is saved at the end, also after an error."""
    server = server_digest()
    found = Publications(read_published(engine, server), database_clock(engine)(), always)
    try:
        yield found
    finally:
        save_published(engine, server, found.digests, found.now)


def server_digest() -> str:
    """What names the Prefect server in the database; its address may contain a password."""
    return hashlib.sha256(str(get_current_settings().api.url).encode()).hexdigest()
