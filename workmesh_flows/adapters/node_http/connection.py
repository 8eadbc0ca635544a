"""How connections to a node are made: the certificates on both sides, and the proxy."""

from __future__ import annotations

import ssl

import httpx

from workmesh_flows.domain.node import Node
from workmesh_flows.errors import NodeMisconfigured


def verification_of(node: Node) -> ssl.SSLContext | bool:
    """What httpx takes as ``verify``, with the client certificate; raises NodeMisconfigured for unreadable files."""
    if node.scheme != "https":
        return False  # there is no certificate, and loading the CA bundle takes 0.1 s per client
    if not node.verify and not node.client_certificate:
        return False
    context = _context(node)
    if node.client_certificate:
        try:
            # Without a password, OpenSSL would ask for one on the terminal.
            password = "" if node.client_key_password is None else node.client_key_password.get_secret_value()
            context.load_cert_chain(node.client_certificate, node.client_key, password=password)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            path = " or ".join(filter(None, (node.client_certificate, node.client_key)))
            raise NodeMisconfigured(f"its client certificate {path} cannot be read: {error}") from error
    return context


def _context(node: Node) -> ssl.SSLContext:
    try:
        if not node.verify:
            return httpx.create_ssl_context(verify=False)
        # httpx also reads SSL_CERT_FILE and SSL_CERT_DIR.
        return ssl.create_default_context(cafile=node.ca_file) if node.ca_file else httpx.create_ssl_context()
    except OSError as error:
        path = node.ca_file or "named by SSL_CERT_FILE or SSL_CERT_DIR"
        raise NodeMisconfigured(f"its CA file {path} cannot be read: {error}") from error


def proxy_of(node: Node) -> httpx.Proxy | None:
    """The proxy that requests take; raises NodeMisconfigured for an invalid address, without quoting it."""
    if node.proxy is None:
        return None
    try:
        return httpx.Proxy(node.proxy.get_secret_value())
    except (ValueError, httpx.InvalidURL):
        raise NodeMisconfigured("the address of the proxy in its block is invalid") from None
