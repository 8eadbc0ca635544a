"""The README's Python is run, and its table of settings is complete."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy import create_engine, insert
from sqlalchemy.orm import Session

from workmesh_flows.adapters.store.engine import open_engine
from workmesh_flows.microservice import MicroService

README = (Path(__file__).parents[1] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture(scope="module")
def readme() -> ModuleType:
    """The README's Python, as one module."""
    module = ModuleType("readme")
    sys.modules["readme"] = module
    exec("\n".join(BLOCKS), module.__dict__)  # noqa: S102 - the project's own README
    return module


def test_the_declaration_finds_the_owner_path_and_counts_pending_records(
    readme: ModuleType, tmp_path: Path
) -> None:
    from datetime import UTC, datetime

    from workmesh_flows.domain.node import Inventory
    from workmesh_flows.operations.status import read_status

    url = f"sqlite:///{tmp_path / 'readme.db'}"
    engine = create_engine(url)
    readme.Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.execute(insert(readme.Account), [{"id": 1, "scoring_node": "n1"}])
        session.execute(
            insert(readme.Lead),
            [{"account_id": 1, "email": "a@b.example", "create_time": datetime.now(UTC)}] * 3,
        )
        session.commit()
    engine.dispose()
    opened = open_engine(url)
    (count,) = read_status(opened, readme.mesh, Inventory({})).counts
    opened.dispose()
    assert (count.node, count.records, count.pending) == ("n1", 3, 3)


def test_the_micro_service_is_valid_and_the_flows_have_their_names(readme: ModuleType) -> None:
    assert isinstance(readme.app, MicroService)
    assert readme.push.name == "leads.scoring.push"


def test_the_table_lists_every_setting() -> None:
    from workmesh_flows.settings import WorkmeshSettings

    for name in WorkmeshSettings.model_fields:
        assert f"`{name.upper()}`" in README
