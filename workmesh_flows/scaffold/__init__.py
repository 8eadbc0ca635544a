"""The project that ``workmesh init`` writes: it works at once, and the user replaces its tables.

Each file of the folder ``templates`` is a Jinja template; ``package`` in a path stands for the name of the Python
package.
"""

from __future__ import annotations

import re
import sys
from importlib.resources import as_file, files
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path
from shlex import quote
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from workmesh_flows.errors import ConfigurationError

SUFFIX = ".jinja"
API = "http://127.0.0.1:4200/api"
"""The API of a server that `prefect server start` starts without options."""
RESERVED = {"tests", "prefect", *sys.stdlib_module_names}
OVERVIEW = "workmesh-overview"
"""The key of the artifact with the mesh's page."""
PORT = 8081
"""The port of the sample's node."""


def write_project(folder: Path, name: str | None = None, *, api: str = API) -> tuple[str, list[Path]]:
    """Write the project's files; return the name of its package and the paths of the written files.

    ``api`` is the address of the Prefect server's API.

    Raises ConfigurationError if a file exists (then nothing is written), or if the name is not valid for a package.
    """
    package = _package(name or re.sub(r"\W+", "_", folder.resolve().name).strip("_").lower(), asked=name)
    with as_file(files(__name__) / "templates") as templates:
        rendered = {folder / path: text for path, text in _rendered(templates, package, api).items()}
    if existing := [path for path in rendered if path.exists()]:
        listed = ", ".join(str(path) for path in existing)
        raise ConfigurationError(f"nothing was written: these files exist: {listed}; name another folder")
    for path, text in rendered.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error
    return package, list(rendered)


def next_steps(folder: Path, package: str, *, api: str = API) -> str:
    """The commands that start the written project, to be run in its folder."""
    enter = "" if folder.resolve() == Path.cwd() else f"cd {quote(str(folder))}\n"
    return f"""
Now, in a terminal:

{enter}pip install -e .
export WORKMESH_API_KEY=choose-a-long-one
{_server(api)}workmesh setup
python -m {package}.sample
workmesh microservice {package}.micro:app --port {PORT} > node.log 2>&1 &
workmesh nodes import nodes.yaml
prefect deploy --all --no-prompt
workmesh automations install
prefect worker start --pool workmesh

The worker runs a sync each minute. After the first one, look at the page of the mesh,
{_overview(api)}, or type in another terminal: workmesh nodes.
Then put your own tables into {package}/models.py and declare them in {package}/mesh.py.
Run the test in tests/ with: pip install -e '.[test]' && pytest"""


def _overview(api: str) -> str:
    """The address of the mesh's page; for Prefect Cloud, whose API is not below its UI, the name of the artifact."""
    server, _, rest = api.removesuffix("/").rpartition("/api")
    return f"{server}/v2/artifacts/key/{OVERVIEW}" if server and not rest else f"the artifact {OVERVIEW}"


def _server(api: str) -> str:
    """The line that starts a Prefect server on this machine; empty if the API is on another one."""
    address = urlsplit(api)
    if address.hostname not in {"127.0.0.1", "localhost"} or address.scheme != "http":
        return ""
    port = f" --port {address.port}" if address.port != urlsplit(API).port else ""
    return f"prefect server start{port} > prefect.log 2>&1 &\n"


def _package(name: str, *, asked: str | None) -> str:
    hint = "" if asked else " (made from the folder's name); give --name"
    if not name.isidentifier() or iskeyword(name) or name != name.lower():
        raise ConfigurationError(f"{name!r} is not a valid name of a Python package{hint}")
    if name in RESERVED or find_spec(name) is not None:
        raise ConfigurationError(
            f"{name!r} is the name of an existing Python package{hint or '; give another one'}"
        )
    return name


def _rendered(templates: Path, package: str, api: str) -> dict[Path, str]:
    jinja = Environment(
        loader=FileSystemLoader(templates),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Python and YAML, no HTML
    )
    found = {}
    for path in sorted(templates.rglob(f"*{SUFFIX}")):
        place = path.relative_to(templates)
        text = jinja.get_template(place.as_posix()).render(package=package, port=PORT, api=api)
        parts = [package if part == "package" else part for part in place.parts]
        found[Path(*parts).with_suffix("")] = text
    return found
