"""Hand-sized API bodies for tests of figures and strips."""

from __future__ import annotations

from datetime import UTC, datetime

from unskew.schemas import api
from unskew.schemas.enums import DirectionKind, DirectionState, Method, Split, Verdict, WeightRule

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


def interval(value: float, n: int = 100, half: float = 0.05) -> api.Interval:
    return api.Interval(value=value, low=value - half, high=value + half, n=n)


def example(number: int, *, correct_share: float | None = 1.0, value: float | None = 0.5) -> api.Example:
    return api.Example(
        id=number,
        split=Split.VALIDATION,
        position=number,
        label=0,
        label_name="0-4",
        path=f"{number}.png",
        attributes={"background": "<grass>"},
        prediction=1,
        correct_share=correct_share,
        value=value,
    )


def direction() -> api.DirectionDetail:
    evidence = api.Evidence(
        verdict=Verdict.STRONG,
        sentence="Right on 91 % of one side and 47 % of the other.",
        accuracy_negative=interval(0.91, 211),
        accuracy_positive=interval(0.47, 189),
        accuracy_gap=interval(0.44, 189),
        loss_negative=0.2,
        loss_positive=1.4,
        minority_share=0.47,
    )
    return api.DirectionDetail(
        id=7,
        attribution_id=1,
        label=0,
        label_name="0-4",
        index=1,
        kind=DirectionKind.PRINCIPAL,
        title="PC2",
        share=0.2,
        sign=1,
        name="",
        note="",
        state=DirectionState.OPEN,
        evidence=evidence,
        scree=[0.4, 0.2, 0.1],
        histogram=api.Histogram(edges=[-2, -1, 0, 1, 2], series={"right": [4, 3, 1, 0], "wrong": [0, 1, 2, 5]}),
        params={},
        previous_id=6,
        next_id=None,
    )


def score_set() -> api.ScoreSet:
    return api.ScoreSet(
        id=1,
        attribution_id=1,
        group_set_id=1,
        group_set_name="background",
        group_set_version=3,
        method=Method.TRAK,
        weight_rule=WeightRule.LOSS,
        weights=[api.GroupWeight(group=0, name="0-4 · grass", n=10, loss=0.1, weight=0.1)],
        histogram=api.Histogram(edges=[-2, -1, 0, 1, 2], series={"0-4": [1, 4, 5, 2], "5-9": [1, 2, 3, 2]}),
        star=8,
        best_k=None,
        curve=[],
        n_train=20,
        n_by_class=[12, 8],
        balancing_would_drop=None,
        stale=False,
        warnings=[],
        created_at=NOW,
    )


def curve_row(k: int, value: float, method: Method = Method.TRAK, seeds: int = 3) -> api.CurveRow:
    share = interval(value, seeds)
    return api.CurveRow(
        k=k,
        method=method,
        split=Split.VALIDATION,
        worst_group_accuracy=share,
        balanced_accuracy=interval(min(1.0, value + 0.1), seeds),
        average_accuracy=share,
        seeds=list(range(seeds)),
    )


def method_result(method: Method, accuracies: dict[str, float], removed: int = 0) -> api.MethodResult:
    worst = interval(min(accuracies.values()), 3)
    mean = interval(sum(accuracies.values()) / len(accuracies), 3)
    groups = [
        api.GroupAccuracy(group=i, name=name, accuracy=interval(value))
        for i, (name, value) in enumerate(accuracies.items())
    ]
    return api.MethodResult(
        method=method,
        removed=removed,
        labels_used="none",
        seeds=[0, 1, 2],
        worst_group_accuracy=worst,
        balanced_accuracy=mean,
        average_accuracy=mean,
        adjusted_average_accuracy=mean,
        per_seed=[],
        groups=groups,
    )


def run(seed: int, accuracies: dict[str, float]) -> api.Run:
    return api.Run(
        id=seed,
        method=Method.ERM,
        seed=seed,
        removed=0,
        score_set_id=None,
        prune_set_id=None,
        n_train=100,
        seconds=2.0,
        has_checkpoint=True,
        params={},
        class_accuracy=[
            api.GroupAccuracy(group=i, name=name, accuracy=interval(value))
            for i, (name, value) in enumerate(accuracies.items())
        ],
        created_at=NOW,
    )
