"""Secrets of a node in a file: the file names environment variables in their place, as in ``${N1_API_KEY}``."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from workmesh_flows.blocks import WorkmeshNode

REFERENCE = re.compile(r"\$\{(?P<variable>[A-Za-z_][A-Za-z0-9_]*)\}")
KEY, PASSWORD, HEADERS, PROXY = "api_key", "client_key_password", "headers", "proxy"
SECRETS = {KEY, PASSWORD, HEADERS, PROXY}
"""The fields whose values a file does not contain, or contains without a login (``proxy``)."""


def variable_name(node: str, field: str) -> str:
    """The environment variable that an exported file names for a secret of a node."""
    kind = "KEY" if field == KEY else field.upper()
    return "_".join(re.sub(r"[^A-Z0-9]", "_", part.upper()) for part in ("WORKMESH", kind, node))


def read_secrets(
    node: str, fields: Mapping[str, Any], stored: WorkmeshNode | None
) -> tuple[dict[str, Any], list[str]]:
    """The values of the secret fields, and the problems; a node that is already stored may leave out its API key."""
    problems: list[str] = []
    values: dict[str, Any] = {}

    def read(found: object, field: str, title: str, hint: str = "") -> str | None:
        reference = REFERENCE.fullmatch(found.strip()) if isinstance(found, str) else None
        if reference is None:
            example = f"${{{variable_name(node, field)}}}"
            problems.append(
                f"{title} must name an environment variable, as in {example}: a file must not contain secrets"
            )
            return None
        value = os.environ.get(reference["variable"])
        if not value:
            problems.append(
                f"the environment variable {reference['variable']} for its {title} is not set{hint}"
            )
        return value

    if fields.get(KEY) is None and stored is not None:
        values[KEY] = stored.api_key
    else:
        hint = "; remove the line api_key to keep the stored key" if stored is not None else ""
        values[KEY] = read(fields.get(KEY), KEY, KEY, hint)
    if (password := fields.get(PASSWORD)) is not None:
        values[PASSWORD] = read(password, PASSWORD, PASSWORD)
    headers = fields.get(HEADERS)
    if isinstance(headers, Mapping):
        found = {
            str(name): read(value, f"{HEADERS}_{name}", f"header {name}") for name, value in headers.items()
        }
        values[HEADERS] = {name: value for name, value in found.items() if value}
    elif headers is not None:
        problems.append(
            "headers must have the name of each header, with its value, as in {X-Token: ${TOKEN}}"
        )
    if (proxy := fields.get(PROXY)) is not None:
        plain = isinstance(proxy, str) and "$" not in proxy and not _has_login(proxy)
        values[PROXY] = proxy if plain else read(proxy, PROXY, PROXY)
    return values, problems


def written_secret(node: str, field: str, block: WorkmeshNode, former: Mapping[str, Any]) -> Any:  # noqa: ANN401 - text or a mapping
    """What a file has in place of a secret field; ``former`` are the node's fields in the file that is overwritten."""
    if field == HEADERS and block.headers is not None:
        before = former.get(HEADERS)
        before = before if isinstance(before, Mapping) else {}
        return {
            name: _reference(node, f"{HEADERS}_{name}", before.get(name))
            for name in block.headers.get_secret_value()
        }
    if field == PROXY and block.proxy is not None and not _has_login(block.proxy.get_secret_value()):
        return block.proxy.get_secret_value()
    return _reference(node, field, former.get(field))


def _reference(node: str, field: str, before: object) -> str:
    """The reference that was there before, or one to the variable that belongs to the field."""
    if isinstance(before, str) and REFERENCE.fullmatch(before.strip()):
        return before.strip()
    return f"${{{variable_name(node, field)}}}"


def _has_login(address: str) -> bool:
    try:
        return "@" in urlsplit(address).netloc
    except ValueError:
        return True
