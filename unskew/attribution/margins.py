"""The margin f = log p/(1-p) of the true class, and what follows from it. All three are stable for any logits."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def margin(logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """Log odds of the true class: its logit minus the log-sum-exp of all others.

    Never computed through p, which rounds to 1 for a confident model.

    Args:
        logits: float (n, n_classes), n_classes >= 2.
        label: int64 (n,).
    Returns:
        (n,) [logits].
    Source: Park et al. 2023 (TRAK), section 3.
    """
    index = label[:, None]
    own = logits.gather(1, index)[:, 0]
    others = logits.scatter(1, index, float("-inf"))
    return own - others.logsumexp(1)


def one_minus_p(f: torch.Tensor) -> torch.Tensor:
    """1 - p of the true class from its margin; the factor Q of a training example. (n,)"""
    return torch.sigmoid(-f)


def loss(f: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the true class from its margin: -log p. (n,) [nats]"""
    return F.softplus(-f)
