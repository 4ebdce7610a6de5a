"""What a training example weighs in its scores: how wrong a *retrained* model would be on it. numpy only.

TRAK weighs example i by Q_i = 1 - p_i, how wrong the model is that was trained on all the data. But a score is asked
for what happens without part of the data, and a model that has learnt its examples by heart (Q = 0) is not sure of them
for their own sake: most of a margin is owed to other examples, and falls when some of those are missing. How much of it
is owed to them is what attribution knows. With the support of example i,

    s_i = (1/C) Σ_c φ_c(i)ᵀ K_c Φ_cᵀ Q        K_c = (Φ_cᵀ W Φ_c + a_c I)⁻¹        W = diag(Q^⅔)

the sum of the scores of all training examples on it, and b = sd(m)/sd(s), which brings supports to the spread of the
margins m (scores are in margin units only up to a factor; b is that factor), the weight is

    1 - σ(m_i - ½ b s_i)

what is expected of a model that half of the data is missing to: what LDS asks for, and about what pruning takes. W is
the curvature of the loss in the margin, p (1 - p) at the model itself, on the way to the retrained one: examples whose
margins are sure have none. Source: ours; judged by LDS in docs/method.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

_CURVATURE_POWER = 2 / 3
_MISSING = 0.5  # share of the training data, and so of what it gives to a margin
_LEAST_CURVATURE_Q = 1e-5
_BOUNDS = (1e-30, 1 - 1e-7)  # of 1 - p in float32, which is exact near 0 and not near 1


def curvature(q: NDArray[np.floating]) -> NDArray[np.float64]:
    """W, float64 (n,), from Q averaged over checkpoints."""
    return np.asarray(np.maximum(np.asarray(q, dtype=np.float64), _LEAST_CURVATURE_Q) ** _CURVATURE_POWER)


def mean_margin(q: list[NDArray[np.float32]]) -> NDArray[np.float64]:
    """log p/(1 - p) of the true class, mean over checkpoints, float64 (n,) [logits]; from 1 - p of each."""
    return np.asarray(-np.mean([logit(np.clip(one.astype(np.float64), *_BOUNDS)) for one in q], axis=0))


def factor_to_margins(margin: NDArray[np.float64], support: NDArray[np.float64]) -> float:
    """b ≥ 0: supports times b spread as margins do; 0 where they do not rise together.

    Not the slope of a regression: supports are noisy, which would make it too small.
    """
    spread = float(support.std())
    return float(margin.std()) / spread if spread > 0 and float(np.cov(margin, support)[0, 1]) > 0 else 0.0


def weight(margin: NDArray[np.float64], support: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 - p that a retrained model is expected to have on each training example, float64 (n,), in (0, 1)."""
    return np.asarray(expit(_MISSING * factor_to_margins(margin, support) * support - margin))
