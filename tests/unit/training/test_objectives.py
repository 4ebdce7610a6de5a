"""GroupDRO against the update by hand; LISA's pairs against their definition."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from unskew.training.objectives import GroupDRO, Lisa

CPU = torch.device("cpu")


class Fixed(nn.Module):
    """Logits that are given."""

    def __init__(self, logits: list[list[float]]) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.logits[: len(inputs)]


def test_group_dro_moves_q_before_it_weighs() -> None:
    group = np.array([0, 0, 1, 3, -1])  # group 2 has no training row
    objective = GroupDRO(group, 0.5, CPU)
    assert objective.q.tolist() == [1 / 3, 1 / 3, 0.0, 1 / 3] or np.allclose(objective.q, [1 / 3, 1 / 3, 0, 1 / 3])
    model = Fixed([[0.0, 1.0], [2.0, 0.0], [0.0, 0.0]])
    label = torch.tensor([0, 0, 1])
    loss = objective.loss(model, torch.zeros(3, 1), label, np.array([0, 1, 2]))  # group 3 is not in the batch
    each = np.log1p(np.exp([1.0, -2.0, 0.0]))
    means = np.array([each[:2].mean(), each[2], 0.0, 0.0])
    q = np.array([1 / 3, 1 / 3, 0, 1 / 3]) * np.exp(0.5 * means)
    q /= q.sum()
    assert np.allclose(objective.q, q, atol=1e-6) and np.isclose(float(loss.detach()), (q * means).sum(), atol=1e-6)
    loss.backward()
    assert model.logits.grad is not None and objective.q.requires_grad is False
    other = GroupDRO(group, 0.5, CPU)
    other.load(objective.state())
    assert torch.equal(other.q, objective.q)


def test_lisa_pairs_share_the_label_or_the_attribute_never_both() -> None:
    torch.manual_seed(0)
    label = torch.tensor([0, 0, 0, 1, 1, 1])
    attribute = torch.tensor([0, 1, 0, 1, 1, 0])
    for share, same, other in ((1.0, label, attribute), (0.0, attribute, label)):
        objective = Lisa(attribute.numpy(), 2, share, 2.0)
        for _ in range(20):
            first, second = objective._pairs(label, attribute)
            assert first.tolist() == [0, 1, 2, 3, 4, 5]
            assert torch.equal(same[first], same[second]) and not (other[first] == other[second]).any()


def test_lisa_without_a_partner_trains_on_the_batch_as_it_is() -> None:
    model = Fixed([[0.0, 1.0], [2.0, 0.0]])
    alone = Lisa(np.array([0, 0, -1]), 2, 1.0, 2.0)
    loss = alone.loss(model, torch.zeros(2, 1), torch.tensor([0, 0]), np.array([0, 1]))
    assert np.isclose(float(loss), np.log1p(np.exp([1.0, -2.0])).mean(), atol=1e-6)
    unknown = alone._pairs(torch.tensor([0, 0]), torch.tensor([0, -1]))
    assert len(unknown[0]) == 0, "a row whose attribute is not known is no partner"
