"""Group sets: made from directions, from an attribute or empty for hand labels; then labelled, undone, exported."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from backend.services import browse, directions, examples
from backend.store import annotators, pages, saved_views, tables
from backend.store import attributions as attribution_store
from backend.store import groups as group_store
from backend.store import labels as label_store
from backend.store import projects as project_store
from backend.store.db import Store
from unskew import evaluation
from unskew.cut import cut
from unskew.errors import ConflictError, DataError, NotFoundError, SettingsError
from unskew.evaluation.seeds import mean_share
from unskew.groups import attribute_values
from unskew.schemas import api
from unskew.schemas.enums import CutRule, GroupSource, LabelAction, LabelOrder, Split

MAX_GROUPS = 9  # inside a class: one key on the keyboard each


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
    """A new group set from one source: directions (pseudo-groups), attribute, view, loss, or names for hand labels."""
    given = [bool(wanted.direction_ids), wanted.attribute, bool(wanted.group_names), wanted.view_id, wanted.by_loss]
    if sum(source not in (None, False) for source in given) != 1:
        raise SettingsError(
            "A group set has one source.",
            fix="Give direction_ids, or an attribute, or a view_id, or by_loss, or group_names for hand labels.",
        )
    with store.session() as session:
        project = project_store.get(session, slug)
        if wanted.direction_ids:
            row = _from_directions(store, session, project, wanted)
        elif wanted.attribute is not None:
            row = _from_attribute(store, session, project, wanted.name, wanted.attribute)
        elif wanted.view_id is not None:
            row = _from_view(store, session, project, wanted.name, wanted.view_id)
        elif wanted.by_loss:
            row = _by_loss(store, session, project, wanted.name)
        else:
            row = _by_hand(store, session, project, wanted)
        made = row.id
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


# ---------------------------------------------------------------- the five sources
def _from_directions(
    store: Store, session: Session, project: tables.Project, wanted: api.GroupSetCreate
) -> tables.GroupSet:
    """Pseudo-groups: inside a class, index 1 = the positive side of its direction as a person signed it, else 0."""
    chosen: dict[int, tables.Direction] = {}
    for direction_id in wanted.direction_ids:
        row, owner = directions.find(session, direction_id)
        if owner.id != project.id:
            raise NotFoundError(f"Direction {direction_id} belongs to another project.")
        if row.label in chosen:
            name = project.class_names[row.label]
            raise SettingsError(f"There are two directions for class {name!r}.", fix="Choose one direction a class.")
        chosen[row.label] = row
    if len({row.attribution_id for row in chosen.values()}) > 1:
        raise SettingsError("These directions come from different attributions.", fix="Choose them from one.")
    votes = examples.votes(store, session, project.id)
    if wanted.cut is CutRule.ERRORS and votes is None:
        raise SettingsError("It is not known what the model predicts.", fix="Choose another place to cut.")
    right = None
    if votes is not None:
        right = evaluation.majority_right(votes, examples.labels(store, project, Split.VALIDATION))
    names: list[list[str]] = []
    suggestion: dict[int, int] = {}
    rank: dict[int, float] = {}
    for label, class_name in enumerate(project.class_names):
        if label not in chosen:
            names.append([])
            continue
        title = chosen[label].name
        names.append([f"{class_name} · {title} {end}" if title else f"{class_name} · {end} side" for end in "−+"])
        positions, projection = directions.signed_projection(store, chosen[label])
        rank |= dict(zip(positions.tolist(), projection.tolist(), strict=True))
        n_wrong = 0 if right is None else int((~right[positions]).sum())
        sign = chosen[label].sign  # a rule sees the end with the higher loss as the positive one, flipped or not
        above = projection > sign * cut(sign * projection, wanted.cut, n_wrong)
        suggestion |= dict(zip(positions.tolist(), above.astype(int).tolist(), strict=True))
    members = _members(session, project, suggestion, rank)
    ids = [row.id for _, row in sorted(chosen.items())]
    source = GroupSource.PSEUDO
    return group_store.create(session, project, wanted.name, source, names, members, direction_ids=ids, cut=wanted.cut)


def _from_attribute(
    store: Store, session: Session, project: tables.Project, name: str, attribute: str
) -> tables.GroupSet:
    if attribute not in project.attributes:
        known = ", ".join(project.attributes) or "none"
        raise NotFoundError(f"There is no attribute {attribute!r}.", fix=f"This project has: {known}.")
    values = project_store.attribute(session, project.id, Split.VALIDATION, attribute)
    known_values = attribute_values(values, project_store.attribute(session, project.id, Split.TRAIN, attribute))
    if not any(values):
        raise DataError(f"No validation example has a value of {attribute!r}.", fix="Choose another attribute.")
    if len(known_values) > MAX_GROUPS:
        raise SettingsError(
            f"{attribute!r} has {len(known_values)} values; groups are for at most {MAX_GROUPS}.",
            fix="Join some of its values in the manifest and import again.",
        )
    index = {value: i for i, value in enumerate(known_values)}
    suggestion = {position: index[str(value)] for position, value in enumerate(values) if value}
    names = [[f"{class_name} · {value}" for value in known_values] for class_name in project.class_names]
    members = _members(session, project, suggestion, _first_projection(store, session, project))
    return group_store.create(session, project, name, GroupSource.ATTRIBUTE, names, members, attribute=attribute)


def _from_view(store: Store, session: Session, project: tables.Project, name: str, view_id: int) -> tables.GroupSet:
    """Index 1 = inside the view, 0 = outside; classes without an example inside get no groups."""
    title = saved_views.get(session, view_id).name
    inside = set(browse.view_positions(store, session, project, Split.VALIDATION, view_id).tolist())
    label = examples.labels(store, project, Split.VALIDATION)
    touched = {int(label[position]) for position in inside}
    if not touched:
        raise DataError(f"View {title!r} is empty.", fix="Choose a view with validation examples.")
    names = [
        [f"{class_name} · not {title}", f"{class_name} · {title}"] if c in touched else []
        for c, class_name in enumerate(project.class_names)
    ]
    suggestion = {place: int(place in inside) for place, c in enumerate(label.tolist()) if c in touched}
    members = _members(session, project, suggestion, _first_projection(store, session, project))
    return group_store.create(session, project, name, GroupSource.HAND, names, members)


def _by_loss(store: Store, session: Session, project: tables.Project, name: str) -> tables.GroupSet:
    """The control of every pseudo-group: no direction, only whether the attributed checkpoints are unsure on average.

    Index 1 = mean cross-entropy above log 2, i.e. the (geometric) mean probability of the true class is below 1/2.
    """
    row = attribution_store.chosen(session, project.id, None)
    loss = store.artifacts.load(attribution_store.ATTRIBUTION, row.artifact, "target_loss.npy")
    suggestion = dict(enumerate((np.asarray(loss) > np.log(2)).astype(int).tolist()))
    names = [[f"{class_name} · {side} loss" for side in ("low", "high")] for class_name in project.class_names]
    members = _members(session, project, suggestion, dict(enumerate(np.asarray(loss, dtype=float).tolist())))
    return group_store.create(session, project, name, GroupSource.PSEUDO, names, members)


def _by_hand(store: Store, session: Session, project: tables.Project, wanted: api.GroupSetCreate) -> tables.GroupSet:
    given = [name.strip() for name in wanted.group_names]
    if len(given) > MAX_GROUPS or len(set(given)) < len(given) or not all(given):
        raise SettingsError(
            f"Group names must be 1 to {MAX_GROUPS} different words; got {wanted.group_names}.", fix="Name each once."
        )
    names = [[f"{class_name} · {name}" for name in given] for class_name in project.class_names]
    members = _members(session, project, {}, _first_projection(store, session, project))
    return group_store.create(session, project, wanted.name, GroupSource.HAND, names, members)


def _first_projection(store: Store, session: Session, project: tables.Project) -> dict[int, float]:
    """What the queue is ordered by where no direction was chosen: each class's first direction, if there is one."""
    rank: dict[int, float] = {}
    for row in attribution_store.newest_directions(session, project.id):
        if row.index == 0:
            positions, projection = directions.signed_projection(store, row)
            rank |= dict(zip(positions.tolist(), projection.tolist(), strict=True))
    return rank


def _members(
    session: Session, project: tables.Project, suggestion: dict[int, int], rank: dict[int, float]
) -> list[dict[str, object]]:
    rows = pages.keys(session, project.id, Split.VALIDATION)
    if not rows:
        raise ConflictError("This project has no validation examples.", fix="Import it again with a validation split.")
    return [
        {
            "example_id": example_id,
            "position": position,
            "label": label,
            "suggestion": suggestion.get(position),
            "rank": rank.get(position, 0.0),
        }
        for example_id, position, label, _ in rows
    ]


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
