"""The damping of one checkpoint: of single scores, of many targets together, and of what errors have in common."""

from __future__ import annotations

OF_SQUARED_NORM = 5.0
OF_CURVED_NORM = 10.0
PLAIN_OF_CURVED = OF_SQUARED_NORM / OF_CURVED_NORM
FOR_ERRORS = 10.0
LEAST_FOR_ERRORS = 30.0


def choose_damping(n: int, p: int) -> float:
    """Relative damping λ = 5 p / n of single scores: absolutely, 5 times the mean squared length of a row of Φ.

    mean(diag(ΦᵀΦ)) is n / p times that mean, so 5 p / n is the same damping however many numbers a gradient is reduced
    to.

    Args:
        n: number of training examples.
        p: number of features.
    Returns:
        λ, relative to mean(diag(ΦᵀΦ)).
    Source: ours. Judged by LDS in docs/method.md, against a number of effective directions, generalised
        cross-validation, the agreement of halves of the checkpoints, and fixed values.
    """
    return OF_SQUARED_NORM * p / n


def choose_curved_damping(n: int, p: int) -> float:
    """Relative damping λ = 10 p / n of single scores where examples have a curvature: 10 times mean(w |φ|²).

    Source: ours, likewise.
    """
    return OF_CURVED_NORM * p / n


def choose_error_damping(n: int, p: int) -> float:
    """Relative damping max(10 λ, 30) for the error-guided direction and likeness, λ that of single scores.

    What one example does is told best by λ; what errors have in common by a heavier damping, which leaves the strong
    directions of the features as they are and weakens the many weak ones. Where features are few beside the examples
    (p < 0.6 n) ten times λ would leave undamped what the projection has mixed; hence at least 30.

    Source: ours. Judged by how well the direction ranks a hidden minority and by likeness in docs/method.md.
    """
    return max(FOR_ERRORS * choose_damping(n, p), LEAST_FOR_ERRORS)
