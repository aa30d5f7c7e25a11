"""The mutants of `make mutants` still fit the source; whether each is killed takes minutes."""

import pytest

from mutants.run import MUTANTS, ROOT


def test_each_of_the_nine_rules_has_a_mutant():
    assert {mutant.rule for mutant in MUTANTS} == set(range(1, 10))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.rule}: {mutant.says}")
def test_what_a_mutant_breaks_stands_once_in_the_source(mutant):
    assert mutant.after != mutant.before
    source = (ROOT / "src" / "grpo_core" / mutant.path).read_text()
    assert source.count(mutant.before) == 1
