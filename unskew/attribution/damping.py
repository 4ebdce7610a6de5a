"""The damping of one checkpoint where none is given."""

from __future__ import annotations

OF_SQUARED_NORM = 5.0
LEAST = 3.0


def choose_damping(n: int, p: int) -> float:
    """Relative damping λ = max(5 p / n, 3): absolutely, 5 times the mean squared length of an example's features.

    mean(diag(ΦᵀΦ)) is n / p times that mean, so 5 p / n is the same damping however many numbers a gradient is reduced
    to. Where these are few beside the examples (p < 0.6 n) it would leave undamped what the projection has mixed; there
    λ = 3 keeps that down.

    Args:
        n: number of training examples.
        p: number of features.
    Returns:
        λ, relative to mean(diag(ΦᵀΦ)).
    Source: ours. Judged by LDS and by what directions find in docs/method.md, against a number of effective directions,
        generalised cross-validation, the agreement of halves of the checkpoints, and fixed values.
    """
    return max(OF_SQUARED_NORM * p / n, LEAST)
