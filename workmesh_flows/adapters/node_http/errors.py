"""Translation of every httpx error into a WorkmeshError."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from workmesh_flows.errors import (
    NodeError,
    NodeMisconfigured,
    NodeUnavailable,
)


@contextmanager
def translated_http_errors() -> Iterator[None]:
    """Raise NodeUnavailable or NodeMisconfigured for every httpx error; it is the cause unless it quotes the answer."""
    try:
        yield
    except (httpx.RemoteProtocolError, httpx.ProxyError) as error:
        raise _translation(error) from None
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict) as error:
        raise _translation(error) from error


def is_closed_unanswered(error: httpx.HTTPError) -> bool:
    """Whether an error that a request raised before its response means that the peer closed the connection."""
    if isinstance(error, httpx.RemoteProtocolError):
        return str(error).startswith("Server disconnected")
    return isinstance(error, httpx.ReadError | httpx.WriteError)


def _translation(error: Exception) -> NodeError:  # noqa: PLR0911 - a table of classes
    detail = str(error).strip() or "no further detail"
    match error:
        case httpx.RemoteProtocolError():  # after a colon its text quotes what the node sent
            why = f"its answer is incomplete or not HTTP: {detail.partition(':')[0]}"
            return NodeUnavailable(why, interrupted=True)
        case httpx.HTTPStatusError():
            return NodeUnavailable(f"it answers {error.response.status_code}")
        case httpx.ConnectError() if _is_certificate(error):
            return NodeMisconfigured(
                f"its certificate is not accepted: {detail}; enter the CA file in its block"
            )
        case _ if _refuses_client(error):
            return NodeMisconfigured(
                f"it does not accept the client certificate: {detail}; enter one that it knows in its block"
            )
        case httpx.ProxyError():
            return _of_proxy(detail)
        case httpx.InvalidURL() | httpx.UnsupportedProtocol() | httpx.LocalProtocolError():
            return NodeMisconfigured(f"its address or a header cannot be used: {detail}")
        case httpx.ConnectTimeout() | httpx.ConnectError():
            return NodeUnavailable(f"no connection ({type(error).__name__}: {detail})")
        case httpx.TimeoutException():
            return NodeUnavailable(f"it does not answer in time ({type(error).__name__})", interrupted=True)
        case httpx.TooManyRedirects() | httpx.CookieConflict():
            return NodeMisconfigured(f"its answer cannot be followed: {detail}")
        case _:
            why = f"its answer is incomplete ({type(error).__name__}: {detail})"
            return NodeUnavailable(why, interrupted=True)


def _of_proxy(detail: str) -> NodeError:
    """The error for a proxy that opens no connection; only the answer's code, since the text may quote the request."""
    code = detail[:3] if detail[:3].isdecimal() else ""
    if code in {"403", "407"}:
        return NodeMisconfigured(f"its proxy refuses the connection: it answers {code}")
    return NodeUnavailable(
        "no connection: its proxy does not reach it" + (f", it answers {code}" if code else "")
    )


def _is_certificate(error: BaseException) -> bool:
    return any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error))


def _refuses_client(error: BaseException) -> bool:
    """Whether the node ended the TLS connection because of the client's certificate, or because it has none."""
    alerts = [
        cause.reason or "" for cause in _causes(error) if isinstance(cause, ssl.SSLError) and cause.reason
    ]
    return any("ALERT" in alert and ("CERTIFICATE" in alert or "UNKNOWN_CA" in alert) for alert in alerts)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
