"""Writing a file that the user named."""

from __future__ import annotations

from pathlib import Path

from workmesh_flows.errors import ConfigurationError


def write_text(path: Path, text: str) -> None:
    """Write the text as UTF-8; raises ConfigurationError with the system's reason."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error
