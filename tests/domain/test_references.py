"""A reference ``module:attribute`` is resolved to its object, or the error says which part is wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from workmesh_flows import Mesh
from workmesh_flows.errors import ConfigurationError, DefinitionError
from workmesh_flows.references import load_reference


@pytest.fixture
def saas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a package of valid and invalid modules."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    package = tmp_path / "reference_saas"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "mesh.py").write_text("from workmesh_flows import Mesh\nother = mesh = Mesh([])\nnumber = 5\n")
    (package / "lacking.py").write_text("import reference_that_is_not_there\n")
    (package / "nameless.py").write_text("raise ModuleNotFoundError('get the other package')\n")
    return tmp_path


def test_a_module_in_the_working_directory_is_found(saas: Path) -> None:
    assert isinstance(load_reference("reference_saas.mesh:mesh", Mesh), Mesh)


WRITE = "does not name a Mesh: write module:attribute, as in my_saas.mesh:mesh"


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        pytest.param("", f"'' {WRITE}", id="empty"),
        pytest.param("reference_saas.mesh", f"'reference_saas.mesh' {WRITE}", id="no attribute"),
        pytest.param(":mesh", f"':mesh' {WRITE}", id="no module"),
        pytest.param("reference_saas.mesh:", f"'reference_saas.mesh:' {WRITE}", id="empty attribute"),
        pytest.param(".mesh:mesh", f"'.mesh:mesh' {WRITE}", id="relative"),
        pytest.param("a..b:mesh", f"'a..b:mesh' {WRITE}", id="two dots"),
        pytest.param("reference_saas/mesh.py:mesh", f"'reference_saas/mesh.py:mesh' {WRITE}", id="a file"),
        pytest.param("mesh.py:mesh", f"'mesh.py:mesh' {WRITE}", id="a file's name"),
        pytest.param("a:b:c", f"'a:b:c' {WRITE}", id="two colons"),
        pytest.param(
            "reference_saas.mesh:service",
            "module reference_saas.mesh has no attribute 'service'; the module has: mesh, other",
            id="no such attribute",
        ),
        pytest.param(
            "reference_saas.mesh:number",
            "attribute 'number' of module reference_saas.mesh is not a Mesh; the module has: mesh, other",
            id="an attribute of another type",
        ),
        pytest.param(
            "json:mesh",
            "module json has no attribute 'mesh'; the module has: no Mesh",
            id="a module without a mesh",
        ),
        pytest.param(
            "reference_saas.lacking:mesh",
            "module reference_saas.lacking cannot be imported: reference_that_is_not_there is not installed",
            id="a module with a missing import",
        ),
        pytest.param(
            "reference_saas.nameless:mesh",
            "module reference_saas.nameless cannot be imported: get the other package",
            id="a module whose import error has no name",
        ),
    ],
)
def test_the_error_of_an_invalid_reference_says_which_part_is_wrong(
    saas: Path, reference: str, problem: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_reference(reference, Mesh)
    assert str(caught.value) == problem


@pytest.mark.parametrize("module", ["reference_nowhere", "reference_saas.nowhere", "json.decoder.nowhere"])
def test_the_error_of_a_missing_module_says_where_it_was_searched(saas: Path, module: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_reference(f"{module}:mesh", Mesh)
    assert str(caught.value) == f"there is no module {module} in {saas} or on the Python path"


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        pytest.param("1 / 0\n", "ZeroDivisionError: division by zero ({0}, line 1)", id="in the module"),
        pytest.param(
            "import json\n\njson.loads('oops')\n",
            "JSONDecodeError: Expecting value: line 1 column 1 (char 0) ({0}, line 3)",
            id="in the standard library",
        ),
        pytest.param(
            "from sqlalchemy import create_engine\ncreate_engine('oops')\n",
            "ArgumentError: Could not parse SQLAlchemy URL from given URL string ({0}, line 2)",
            id="in a package",
        ),
        pytest.param("x = (\n", "SyntaxError: '(' was never closed (broken.py, line 1)", id="a syntax error"),
    ],
)
def test_an_error_of_the_module_itself_is_named_with_file_and_line(
    saas: Path, source: str, problem: str
) -> None:
    file = saas / "broken.py"
    file.write_text(source)
    with pytest.raises(ConfigurationError) as caught:
        load_reference("broken:mesh", Mesh)
    assert str(caught.value) == f"module broken cannot be imported: {problem.format(file)}"


def test_a_wrong_declaration_keeps_its_own_error(saas: Path) -> None:
    (saas / "declared.py").write_text("from workmesh_flows import Mesh\nmesh = Mesh([5])\n")
    with pytest.raises(DefinitionError):
        load_reference("declared:mesh", Mesh)
