"""Table 3 and Figure 4: one class of ImageNet at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from backend.cli import follow
from backend.cli.paper.stages import RESNET, SMOKE_SIZE, Plan, prepared
from backend.services import groups as group_service
from backend.services import prune as prune_service
from backend.services.views import view
from backend.store import projects as project_store
from backend.store import runs as run_store
from unskew.schemas import api, paper, params
from unskew.schemas.enums import JobKind, Layout, Method, PruneRule, Split

NO_HAND_LABELS = (
    "The labels by hand of the paper are not public: without attributes.csv (path, "
    f"{paper.IMAGENET_ATTRIBUTE}) beside the images there are no worst groups."
)


def imagenet(plan: Plan, place: Path) -> dict[str, Any]:
    """One class at a time: loss weight from this class alone, K searched on the held-out tenth."""
    source = params.ImportParams(
        source=str(place), name="ImageNet", layout=Layout.IMAGENET, image_size=SMOKE_SIZE if plan.smoke else 224
    )
    model = params.ModelSpec() if plan.smoke else params.ModelSpec(factory=RESNET)
    project = prepared(plan, "ImageNet", source, model, plan.trained(paper.IMAGENET_TRAIN))
    by_hand = paper.IMAGENET_ATTRIBUTE if paper.IMAGENET_ATTRIBUTE in project.attributes else None
    classes, missing = [], []
    for target in paper.IMAGENET_CLASSES:
        label = next((i for i, name in enumerate(project.class_names) if name.startswith(target.synset)), None)
        if label is None:
            missing.append(target.name)
        else:
            classes.append(_class(plan, project, target, label, by_hand))
    return {
        "set": "imagenet",
        "title": "ImageNet",
        "project": project.slug,
        "found_at": str(place),
        "n_train": project.n_train,
        "remarks": [
            paper.IMAGENET_UNSAID,
            *(
                []
                if by_hand
                else [f"No hand labels: worst groups need attributes.csv with path and {paper.IMAGENET_ATTRIBUTE!r}."]
            ),
        ],
        "classes": classes,
        "missing_classes": missing,
    }


def _class(
    plan: Plan, project: api.ProjectDetail, target: paper.ImageNetClass, label: int, by_hand: str | None
) -> dict[str, Any]:
    rows = [_measured(plan, project, Method.ERM, label, by_hand, None, target)]
    sources = {Method.AUTO_TRAK: group_service.from_first_directions(plan.store, project.slug)}
    if by_hand and _known(plan, project, label, by_hand):
        sources[Method.TRAK] = api.GroupSetCreate(name=by_hand, attribute=by_hand)
    for method, groups in sources.items():
        group_set = group_service.ready(plan.store, project.slug, groups)
        wanted = params.ScoreParams(group_set_id=group_set, label=label)
        scored = follow.run(plan.store, JobKind.SCORE, wanted, project.id, quiet=plan.quiet)
        score_set = int(scored.result["score_set_id"])
        search = params.SearchKParams(
            score_set_id=score_set, seeds=plan.search_seeds, grid=[1, 2] if plan.smoke else None
        )
        follow.run(plan.store, JobKind.SEARCH_K, search, project.id, quiet=plan.quiet)
        chosen = prune_service.create_prune_set(plan.store, score_set, api.PruneCreate(rule=PruneRule.BEST))
        again = params.RetrainParams(methods=[method], seeds=plan.seeds, prune_set_id=chosen.id)
        follow.run(plan.store, JobKind.RETRAIN, again, project.id, quiet=plan.quiet)
        rows.append(_measured(plan, project, method, label, by_hand, chosen, target))
    return {"class": target.name, "synset": target.synset, "bias": target.bias, "methods": rows}


def _known(plan: Plan, project: api.ProjectDetail, label: int, attribute: str) -> bool:
    """Two values at least among the class's validation examples."""
    own = [c for c in project.attribute_counts if c.attribute == attribute and c.label == label]
    return len({c.value for c in own if c.split is Split.VALIDATION and c.value}) > 1


def _measured(
    plan: Plan,
    project: api.ProjectDetail,
    method: Method,
    label: int,
    by_hand: str | None,
    pruned: api.PruneSet | None,
    target: paper.ImageNetClass,
) -> dict[str, Any]:
    """Mean over seeds on test: of the class, of its groups where they are known, and of all classes."""
    k = pruned.k if pruned else 0
    with plan.store.read() as session:
        row = project_store.get(session, project.slug)
        stored = [run for run in run_store.list_runs(session, row.id) if run.seed in plan.seeds and run.removed == k]
        if k:
            assert pruned is not None, "only pruned runs lack rows"
            stored = [run for run in stored if run.score_set_id == pruned.score_set_id]
        else:
            stored = [run for run in stored if run.method == Method.ERM]
        predicted = [run_store.predictions(plan.store.artifacts, run, Split.TEST).prediction for run in stored]
        true = project_store.labels(session, row.id, Split.TEST)
        groups = view(plan.store, session, row, Split.TEST, attribute=by_hand).group if by_hand else None
    right = np.stack(predicted) == true  # (n_runs, n)
    own = true == label
    within = None
    if groups is not None and (groups[own] >= 0).any():
        numbers = np.unique(groups[own & (groups >= 0)])
        within = np.stack([right[:, own & (groups == g)].mean(axis=1) for g in numbers])  # (n_groups, n_runs)
    published = target.published[method]
    return {
        "method": method,
        "removed": k,
        "seeds": [run.seed for run in stored],
        "class_accuracy": float(right[:, own].mean()),
        "n": int(own.sum()),
        "overall_accuracy": float(right.mean()),
        "worst_group_accuracy": None if within is None else float(within.min(axis=0).mean()),
        "balanced_accuracy": None if within is None else float(within.mean()),
        "paper_worst_group_accuracy": published.worst,
        "paper_balanced_accuracy": published.balanced,
        "paper_overall_accuracy": published.overall,
    }
