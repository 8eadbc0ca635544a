"""Each mutant fits the code, and a test catches it; `make mutants` shows which one."""

from __future__ import annotations

import ast

import pytest

from tests.reliability.mutants.__main__ import run_mutants
from tests.reliability.mutants.copy import TREE, copied_tree
from tests.reliability.mutants.mutant import Mutant, read_mutants

MUTANTS = read_mutants()


@pytest.mark.parametrize("mutant", [pytest.param(mutant, id=mutant.name) for mutant in MUTANTS])
def test_a_mutant_fits_the_current_code(mutant: Mutant) -> None:
    text = (TREE / mutant.file).read_text()
    mutated = mutant.mutated(text)
    assert ast.dump(ast.parse(mutated)) != ast.dump(ast.parse(text))
    compile(mutated, mutant.file, "exec")
    for test in mutant.tests:
        path, _, name = test.partition("::")
        assert f"def {name.partition('[')[0]}" in (TREE / path).read_text()


def test_each_mutant_has_a_unique_name_and_a_description_of_its_harm() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 12
    assert all(mutant.harm for mutant in MUTANTS)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_mutant_is_caught() -> None:
    with copied_tree() as copy:
        assert copy.test(sorted({test for mutant in MUTANTS for test in mutant.tests})).passed
        survived = [outcome.mutant.name for outcome in run_mutants(copy, MUTANTS) if outcome.caught is None]
    assert survived == []
