"""Group sets: listed, made (`group_sources`), labelled, undone, redone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from backend.services import browse, directions, examples, group_sources
from backend.store import annotators, pages, tables
from backend.store import groups as group_store
from backend.store import labels as label_store
from backend.store import projects as project_store
from backend.store.db import Store
from unskew import evaluation
from unskew.errors import ConflictError, SettingsError
from unskew.evaluation.seeds import mean_share
from unskew.schemas import api
from unskew.schemas.enums import CutRule, GroupSource, LabelAction, LabelOrder, Split


def list_group_sets(store: Store, slug: str) -> list[api.GroupSet]:
    """Newest first."""
    with store.read() as session:
        project = project_store.get(session, slug)
        rows = group_store.list_group_sets(session, project.id)
        return [_body(store, session, project, row) for row in rows]


def get(store: Store, group_set_id: int) -> api.GroupSet:
    with store.read() as session:
        row = group_store.get(session, group_set_id)
        return _body(store, session, project_store.get(session, row.project_id), row)


def create(store: Store, slug: str, wanted: api.GroupSetCreate) -> api.GroupSet:
    """A new group set from one source."""
    with store.session() as session:
        made = group_sources.make(store, session, project_store.get(session, slug), wanted).id
    return get(store, made)


def update(store: Store, group_set_id: int, patch: api.GroupSetPatch) -> api.GroupSet:
    """Other names for the same groups, or other guidelines."""
    with store.session() as session:
        row = group_store.get(session, group_set_id)
        group_store.rename(session, row, patch.name, patch.group_names)
        if patch.guidelines is not None:
            row.guidelines = patch.guidelines
    return get(store, group_set_id)


def delete(store: Store, group_set_id: int, *, force: bool = False) -> None:
    with store.session() as session:
        group_store.delete_group_set(session, group_set_id, force=force)


def ready(store: Store, slug: str, wanted: api.GroupSetCreate) -> int:
    """Number of the group set of that name, made now if there is none."""
    for existing in list_group_sets(store, slug):
        if existing.name == wanted.name:
            return existing.id
    return create(store, slug, wanted).id


def from_first_directions(store: Store, slug: str) -> api.GroupSetCreate:
    """Pseudo-groups from each class's first direction."""
    first = [d for d in directions.list_directions(store, slug) if d.index == 0]
    if not first:
        raise ConflictError("There are no directions yet.", fix=f"First: unskew discover {slug}")
    return api.GroupSetCreate(name=f"pseudo-groups {first[0].id}-{first[-1].id}", direction_ids=[d.id for d in first])


def _body(store: Store, session: Session, project: tables.Project, row: tables.GroupSet) -> api.GroupSet:
    voters = examples.voters(session, project.id)
    found, accuracy, by_hand = _standing(store, project.id, row.id, row.created_at, row.version, voters)
    width = group_store.n_per_class(row)
    groups = [
        api.Group(
            id=label * width + index,
            label=label,
            index=index,
            name=name,
            n=found.get((label, index), (0, 0))[0],
            accuracy=accuracy.get(label * width + index),
            n_by_hand=found.get((label, index), (0, 0))[1],
            accuracy_by_hand=by_hand.get(label * width + index),
            more_needed=_more_needed(by_hand.get(label * width + index)) if accuracy else None,
        )
        for label, names in enumerate(row.group_names)
        for index, name in enumerate(names)
    ]
    return api.GroupSet(
        id=row.id,
        name=row.name,
        source=GroupSource(row.source),
        attribute=row.attribute,
        direction_ids=row.direction_ids,
        cut=CutRule(row.cut),
        groups=groups,
        n_labelled=sum(hand for _, hand in found.values()),
        n_unassigned=sum(n for (_, index), (n, _) in found.items() if index is None),
        n_total=sum(n for n, _ in found.values()),
        version=row.version,
        guidelines=row.guidelines,
        created_at=row.created_at,
    )


def _more_needed(accuracy: api.Interval | None) -> int:
    return evaluation.more_needed(accuracy or evaluation.wilson(0, 0))


Intervals = dict[int, api.Interval]


@lru_cache(maxsize=64)  # pages list all sets of a project, of which one at most is being labelled
def _standing(
    store: Store, project_id: int, group_set_id: int, created_at: datetime, version: int, voters: tuple[str, ...]
) -> tuple[dict[tuple[int, int | None], tuple[int, int]], Intervals, Intervals]:
    """What does not change as long as nobody labels: (counts as in the store, accuracy, accuracy by hand).

    Mean accuracy of the attributed checkpoints on each group, and on what people labelled of it; n = examples. Empty
    before there are checkpoints. A number is given again after its set was deleted, so the time of making is asked for.
    """
    with store.read() as session:
        found = group_store.counts(session, group_set_id)
        said = examples.votes(store, session, project_id)
        if said is None:
            return found, {}, {}
        given = group_store.assignment(session, group_set_id)
        label = examples.labels(store, project_store.get(session, project_id), Split.VALIDATION)
    share: NDArray[np.float64] = (said == label).mean(axis=0)

    def on(inside: NDArray[np.bool_]) -> Intervals:
        group = np.where(inside, given.group, -1)
        groups = np.unique(group[group >= 0])
        return {int(g): mean_share(float(share[group == g].sum()), int((group == g).sum())) for g in groups}

    return found, on(np.ones(len(share), dtype=bool)), on(given.by_hand)


# ---------------------------------------------------------------- labelling
def queue(
    store: Store,
    group_set_id: int,
    *,
    label: int | None = None,
    order: LabelOrder = LabelOrder.EXTREMES,
    after: str | None = None,
    limit: int = 60,
    only_open: bool = False,
    view: int | None = None,
    annotator: str | None = None,
) -> api.LabelQueue:
    """One page of what there is to label; with `annotator`: as this person alone labelled it, blind to the others."""
    with store.read() as session:
        row = group_store.get(session, group_set_id)
        project = project_store.get(session, row.project_id)
        own = annotators.said(session, row.id, annotator).get(annotator, {}) if annotator is not None else None
        differ = annotators.disagreements(annotators.said(session, row.id)) if order is LabelOrder.DISAGREEMENT else {}
        wanted = label_store.Filter(
            label=label,
            only_open=only_open,
            positions=None
            if view is None
            else tuple(browse.view_positions(store, session, project, Split.VALIDATION, view).tolist()),
            example_ids=tuple(differ) if order is LabelOrder.DISAGREEMENT else None,
            labelled=None if own is None else tuple(own),
        )
        found = label_store.queue(session, row.id, wanted, order, after=_cursor(after), limit=limit + 1)
        more, found = len(found) > limit, found[:limit]
        items = _items(store, session, project, [member for member, _ in found])
        return api.LabelQueue(
            items=[_seen_by(item, own, differ) for item in items],
            total=label_store.count(session, row.id, wanted),
            order=order,
            next=f"{found[-1][1]!r}_{found[-1][0].example_id}" if more else None,
        )


def _seen_by(
    item: api.LabelItem, own: dict[int, int | None] | None, differ: dict[int, dict[str, int | None]]
) -> api.LabelItem:
    """The item with one person's own label instead of the set's, and with what annotators said where they differ."""
    number = item.example.id
    change: dict[str, object] = {"others": differ.get(number, {})}
    if own is not None:
        mine = number in own
        change |= {
            "group": own[number] if mine else item.suggestion,
            "by_hand": mine,
            "unsure": mine and own[number] is None,
        }
    return item.model_copy(update=change)


def _cursor(text: str | None) -> tuple[float, int] | None:
    if text is None:
        return None
    key, _, example_id = text.partition("_")
    try:
        return float(key), int(example_id)
    except ValueError:
        raise SettingsError(f"after={text!r} is not a cursor.", fix="Pass the `next` of the page before.") from None


def write(store: Store, group_set_id: int, batch: api.LabelBatch) -> api.LabelResult:
    """Store key presses at once; a key that is stored already changes nothing."""
    return answer(store, LabelAction.SET, put(store, group_set_id, batch))


def put(store: Store, group_set_id: int, batch: api.LabelBatch) -> label_store.Written:
    """The first half of `write`: what others wait for."""
    who = annotators.name(batch.annotator, adjudicates=batch.adjudicates)
    with store.session() as session:
        return label_store.write(session, group_set_id, batch.labels, who)


def undo(store: Store, group_set_id: int, who: api.AnnotatorBody) -> api.LabelResult:
    name = annotators.name(who.annotator, adjudicates=who.adjudicates)
    with store.session() as session:
        written = label_store.undo(session, group_set_id, name)
    return answer(store, LabelAction.UNDO, written)


def redo(store: Store, group_set_id: int, who: api.AnnotatorBody) -> api.LabelResult:
    name = annotators.name(who.annotator, adjudicates=who.adjudicates)
    with store.session() as session:
        written = label_store.redo(session, group_set_id, name)
    return answer(store, LabelAction.REDO, written)


def answer(store: Store, action: LabelAction, written: label_store.Written) -> api.LabelResult:
    """The answer, put together when the change is committed and others can write again."""
    row = written.group_set
    with store.read() as session:
        project = project_store.get(session, row.project_id)
        items = _items(store, session, project, written.members)
    return api.LabelResult(action=action, items=items, version=row.version)


def _items(
    store: Store, session: Session, project: tables.Project, members: Sequence[tables.GroupMember]
) -> list[api.LabelItem]:
    rows = pages.by_id(session, project.id, [member.example_id for member in members])
    ranks = np.array([member.rank for member in members])
    shown = examples.bodies(store, session, project, [rows[member.example_id] for member in members], ranks)
    return [
        api.LabelItem(
            example=example,
            group=member.group,
            suggestion=member.suggestion,
            by_hand=member.by_hand,
            unsure=member.unsure,
        )
        for example, member in zip(shown, members, strict=True)
    ]
