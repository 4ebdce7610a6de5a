"""What helps and what hurts an example or a group: columns of τ computed when asked for, and what lies near by it.

One column costs one pass over the training factors, without forming τ: fractions of a second at 50,000 rows.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from backend.services import directions, examples
from backend.store import attributions, groups, pages, scores, tables
from backend.store import projects as project_store
from backend.store.db import Store
from unskew.errors import ConflictError, SettingsError
from unskew.schemas import api
from unskew.schemas.enums import Split

TOP = 200  # the most that is kept of either end


def of_example(store: Store, slug: str, example_id: int, *, n: int = 24) -> api.Influence:
    """Proponents and opponents of one validation example.

    Raises:
        SettingsError: not a validation example: τ is known for those only.
    """
    with store.read() as session:
        project = project_store.get(session, slug)
        row = pages.one(session, project.id, example_id)
        if row.split is not Split.VALIDATION:
            raise SettingsError(
                f"{row.path} is a {row.split.value} example; τ is known for validation examples.",
                fix="Open a validation example; the strips of a direction show training examples by their loading.",
            )
        words = f"validation example {row.position + 1} ({project.class_names[row.label]})"
        return _influence(store, session, project, (row.position,), words, n)


def of_group(store: Store, group_set_id: int, group: int, *, n: int = 24) -> api.Influence:
    """Proponents and opponents of a group: τ averaged over its validation examples."""
    with store.read() as session:
        row = groups.get(session, group_set_id)
        project = project_store.get(session, row.project_id)
        given = groups.assignment(session, row.id)
        inside = np.flatnonzero(given.group == group)
        if not len(inside):
            raise ConflictError(f"No example is in group {group} of {row.name!r}.", fix="Choose another group.")
        return _influence(store, session, project, tuple(inside.tolist()), f"group {given.names[group]}", n)


def of_end(store: Store, direction_id: int, end: int, *, n: int = 24, targets: int = 24) -> api.Influence:
    """Proponents and opponents of the extreme validation examples at one end of a direction."""
    with store.read() as session:
        row, project = directions.find(session, direction_id)
        positions, _ = directions.ordered(store, row, Split.VALIDATION)
        some = positions[:targets] if end < 0 else positions[::-1][:targets]
        words = f"{len(some)} example{'' if len(some) == 1 else 's'} at the {'+' if end > 0 else '−'} end"
        return _influence(store, session, project, tuple(sorted(some.tolist())), words, n)


def _influence(
    store: Store, session: Session, project: tables.Project, targets: tuple[int, ...], words: str, n: int
) -> api.Influence:
    attribution = attributions.chosen(session, project.id, None)
    if not 0 < n <= TOP:
        raise SettingsError(f"n = {n} is out of range.", fix=f"Choose 1 … {TOP}.")
    order, tau, positive = _ends(store, attribution.artifact, targets)

    def shown(places: NDArray[np.int64], values: NDArray[np.float64]) -> list[api.Example]:
        return examples.at(store, session, project, Split.TRAIN, places, values)

    return api.Influence(
        target=words,
        n_targets=len(targets),
        proponents=shown(order[::-1][:n], tau[::-1][:n]),
        opponents=shown(order[:n], tau[:n]),
        share_positive=positive,
    )


@lru_cache(maxsize=256)
def _ends(
    store: Store, artifact: str, targets: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.float64], float]:
    """Training positions of the lowest and highest mean τ over the targets, rising, their τ, and the share above 0."""
    from unskew.attribution import Attribution  # here: only this question needs it, and scipy with it

    attribution = Attribution.load(store.artifacts.path(attributions.ATTRIBUTION, artifact))
    mean = attribution.mean(np.array(targets, dtype=np.int64))
    k = min(TOP, len(mean) // 2)
    low, high = np.argpartition(mean, k)[:k], np.argpartition(mean, len(mean) - k)[len(mean) - k :]
    both = np.unique(np.concatenate([low, high]))
    order = both[np.argsort(mean[both], kind="stable")]
    return order, mean[order], float((mean > 0).mean())


# ---------------------------------------------------------------- one example
def detail(store: Store, slug: str, example_id: int) -> api.ExampleDetail:
    """Predictions of every checkpoint, loss, place along every direction and in T, and its groups."""
    with store.read() as session:
        project = project_store.get(session, slug)
        row = pages.one(session, project.id, example_id)
        body = examples.bodies(store, session, project, [row])[0]
        said = examples.votes(store, session, project.id) if row.split is Split.VALIDATION else None
        return api.ExampleDetail(
            example=body,
            checkpoints=[] if said is None else said[:, row.position].tolist(),
            loss=_loss(store, session, project, row),
            values=_along_directions(store, session, project, row) + _scores(store, session, project, row),
            groups=groups.of_example(session, project.id, row.id),
        )


def _loss(store: Store, session: Session, project: tables.Project, row: pages.Row) -> float | None:
    """Cross-entropy averaged over the attributed checkpoints [nats]."""
    found = attributions.list_attributions(session, project.id)
    if row.split is not Split.VALIDATION or not found:
        return None
    return float(store.artifacts.load(attributions.ATTRIBUTION, found[0].artifact, "target_loss.npy")[row.position])


def _along_directions(store: Store, session: Session, project: tables.Project, row: pages.Row) -> list[api.ScoredValue]:
    if row.split is Split.TEST:
        return []
    made = []
    for direction in attributions.newest_directions(session, project.id):
        if direction.label != row.label:
            continue
        positions, values = directions.ordered(store, direction, row.split)
        place = int(np.flatnonzero(positions == row.position)[0])
        what = "projection" if row.split is Split.VALIDATION else "loading"
        name = direction.name or f"direction {direction.index + 1}"
        made.append(
            api.ScoredValue(name=f"{name}: {what}", value=float(values[place]), rank=place + 1, n=len(positions))
        )
    return made


def _scores(store: Store, session: Session, project: tables.Project, row: pages.Row) -> list[api.ScoredValue]:
    if row.split is not Split.TRAIN:
        return []
    made = []
    for score in scores.list_score_sets(session, project.id):
        t = store.artifacts.load(scores.SCORES, score.artifact, "alignment.npy")
        value = float(t[row.position])
        name = f"T of “{groups.get(session, score.group_set_id).name}”, score set {score.id}"
        made.append(api.ScoredValue(name=name, value=value, rank=int((t < value).sum()) + 1, n=len(t)))
    return made


def nearest(store: Store, slug: str, example_id: int, *, n: int = 24) -> list[api.Example]:
    """Examples of the same class and split that lie nearest along the class's directions; value = distance.

    Projections (validation) or loadings (training) are coordinates in the principal space of the attribution, so
    that near means: what the model learned from, or what learned from it, is alike.
    """
    with store.read() as session:
        project = project_store.get(session, slug)
        row = pages.one(session, project.id, example_id)
        found = [d for d in attributions.newest_directions(session, project.id) if d.label == row.label]
        if row.split is Split.TEST or not found:
            raise ConflictError("Directions do not know this example.", fix="Find directions; then open one of theirs.")
        positions, _ = directions.ordered(store, found[0], row.split)
        own = np.sort(positions)
        columns = []
        for direction in found:
            places, values = directions.ordered(store, direction, row.split)
            columns.append(values[np.argsort(places, kind="stable")])
        space = np.stack(columns, axis=1)  # (n_c, n_directions), by position
        distance = np.linalg.norm(space - space[np.searchsorted(own, row.position)], axis=1)
        order = np.argsort(distance, kind="stable")[1 : n + 1]
        return examples.at(store, session, project, row.split, own[order], distance[order])
