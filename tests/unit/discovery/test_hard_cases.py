"""Discovery where it is hard: two biases at once, a bias in one class only, hardly any error, no bias."""

from __future__ import annotations

import numpy as np
import pytest

from unskew.bench.hard import Found, discover, painted
from unskew.schemas.enums import Verdict


def verdicts(found: list[Found]) -> set[Verdict]:
    return {e.verdict for c in found for e in c.evidence}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [10, 13])
def test_one_bias_in_both_classes_is_found_and_called_strong(seed: int) -> None:
    """What the hard cases are compared with."""
    found = discover(*painted(seed, (0.9, 0.9)))
    assert Verdict.STRONG in verdicts(found)
    assert all(c.guided("colour") > 0.85 for c in found)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [10, 13, 15])
def test_of_two_biases_at_once_each_has_a_direction(seed: int) -> None:
    """The error-guided one follows the bias that costs more; the other has one among the principal ones at least."""
    found = discover(*painted(seed, (0.9, 0.9), 0.9))
    for c in found:
        assert c.guided("corner") > 0.8
        assert c.best("colour") > 0.75 and c.best("corner") > 0.85


@pytest.mark.slow
@pytest.mark.parametrize("seed", [10, 13])
def test_a_bias_in_one_class_only_is_ranked_by_the_direction_of_its_errors(seed: int) -> None:
    """Reds are 95 % of the one class and half of the other: the first class's greens are few, and badly served."""
    first, _ = discover(*painted(seed, (0.95, 0.5)))
    assert first.guided("colour") > 0.75


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 2])
def test_a_handful_of_errors_is_no_strong_bias(seed: int) -> None:
    """0 against 1 is so easy that the colour is hardly used: with fewer than five errors nothing can be strong."""
    found = discover(*painted(seed, (0.9, 0.9), numerals=(0, 1)))
    assert all((~c.right).sum() < 5 and {e.alike for e in c.evidence} == {None} for c in found)
    assert all(np.isfinite(c.projections).all() for c in found)
    assert Verdict.STRONG not in verdicts(found)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [10, 13, 15])
def test_no_bias_is_not_called_one(seed: int) -> None:
    found = discover(*painted(seed, (0.5, 0.5), 0.5))
    assert Verdict.STRONG not in verdicts(found)
    for c in found:
        assert (~c.right).sum() > 15  # hard examples there are
        assert 0.25 < c.guided("colour") < 0.7 and 0.25 < c.guided("corner") < 0.7
