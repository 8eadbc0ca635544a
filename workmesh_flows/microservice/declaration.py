"""The declaration of a micro-service with its protocols."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from workmesh_flows.errors import DefinitionError, StartError
from workmesh_flows.microservice.app import NodeApp, not_started
from workmesh_flows.microservice.protocol import NAME_RULE, Check, Process, Protocol, is_name
from workmesh_flows.microservice.settings import resolve

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

ProcessT = TypeVar("ProcessT", bound=Process)


class MicroService:
    """A named set of protocols; itself an ASGI application that reads its settings from the environment.

    One process serves one database: run a single worker (``uvicorn --workers 1``, the default).
    """

    def __init__(self, name: str, *, version: str = "0.0.0") -> None:
        problems = []
        if not is_name(name):
            problems.append(f"the name {name!r} cannot be used: {NAME_RULE}")
        if not isinstance(version, str) or not version:
            problems.append(f"version must be a text such as '1.0.0', not {version!r}")
        _raise_if_any(problems, name)
        self.name = name
        self.version = version
        self._protocols: dict[str, Protocol] = {}
        self._served: NodeApp | None = None

    def __repr__(self) -> str:
        return f"MicroService({self.name!r}, version={self.version!r})"

    @property
    def protocols(self) -> tuple[Protocol, ...]:
        """The protocols, in the order of declaration."""
        return tuple(self._protocols.values())

    def protocol(
        self,
        name: str,
        *,
        check: Check | None = None,
        id: str = "id",  # noqa: A002 - the natural name for the author of a micro-service
    ) -> Callable[[ProcessT], ProcessT]:
        """Declare that the decorated function processes the records of a protocol.

        `check` is called with each new record before anything is stored, and raises `RecordRefused` for one that can
        never be processed. `id` is the key of a record's id. The function is returned unchanged.
        """

        def declare(process: ProcessT) -> ProcessT:
            protocol = Protocol(name, process, check, id)
            problems = list(protocol.problems())
            if name in self._protocols:
                problems.append(f"protocol {name!r} is declared twice")
            _raise_if_any(problems, self.name)
            self._protocols[name] = protocol
            return process

        return declare

    def app(
        self,
        *,
        api_key: str | None = None,
        database: str | Path | None = None,
        body_limit: int | None = None,
    ) -> NodeApp:
        """The ASGI application, for a server of your own.

        Omitted arguments are read from the environment: WORKMESH_API_KEY (required), WORKMESH_DATABASE (default:
        ``<name>.db`` in the working directory) and WORKMESH_BODY_LIMIT (largest request body in bytes, default
        32 MiB). Always from there: WORKMESH_REQUEST_SECONDS (time for a request body to arrive, default 30) and
        WORKMESH_MAX_CONNECTIONS, which only `serve` applies. Raises `StartError` for a missing or invalid setting.
        """
        settings = resolve(self.name, api_key=api_key, database=database, body_limit=body_limit)
        return NodeApp(self.name, self.version, self.protocols, settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve; settings are read when the server starts, so that importing the module needs no environment."""
        if scope["type"] == "lifespan":
            try:
                self._served = self.app()
            except StartError as error:
                await receive()
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
        if self._served is None:
            raise StartError(not_started(self.name))
        await self._served(scope, receive, send)


def _raise_if_any(problems: Sequence[str], name: object) -> None:
    if problems:
        subject = f"micro-service {name!r}"
        raise DefinitionError(subject, problems)
