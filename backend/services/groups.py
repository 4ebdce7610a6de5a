"""Group sets: made from directions, from an attribute or empty for hand labels; then labelled, undone, exported."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from backend.services import directions, examples
from backend.services.downloads import Download, csv_file, json_lines
from backend.store import attributions as attribution_store
from backend.store import groups as group_store
from backend.store import labels as label_store
from backend.store import pages, tables
from backend.store import projects as project_store
from backend.store.db import Store
from unskew.errors import ConflictError, DataError, NotFoundError, SettingsError
from unskew.evaluation.seeds import mean_share
from unskew.groups import attribute_values
from unskew.schemas import api
from unskew.schemas.enums import GroupSource, LabelAction, LabelOrder, Split

MAX_GROUPS = 9  # inside a class: one key on the keyboard each
EXPORT_FIELDS = (
    "example_id", "position", "path", "label", "group", "group_name", "suggestion", "by_hand", "unsure", "annotator",
)  # fmt: skip


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
    """A new group set from exactly one source: directions (pseudo-groups), an attribute, or names for hand labels."""
    given = [bool(wanted.direction_ids), wanted.attribute is not None, bool(wanted.group_names)]
    if sum(given) != 1:
        raise SettingsError(
            "A group set has one source.", fix="Give direction_ids, or an attribute, or group_names for hand labels."
        )
    with store.session() as session:
        project = project_store.get(session, slug)
        if wanted.direction_ids:
            row = _from_directions(store, session, project, wanted)
        elif wanted.attribute is not None:
            row = _from_attribute(store, session, project, wanted.name, wanted.attribute)
        else:
            row = _by_hand(store, session, project, wanted)
        return _body(store, session, project, row)


def update(store: Store, group_set_id: int, patch: api.GroupSetPatch) -> api.GroupSet:
    """Other names for the same groups."""
    with store.session() as session:
        row = group_store.get(session, group_set_id)
        group_store.rename(session, row, patch.name, patch.group_names)
    return get(store, group_set_id)


def delete(store: Store, group_set_id: int, *, force: bool = False) -> None:
    with store.session() as session:
        group_store.delete_group_set(session, group_set_id, force=force)


# ---------------------------------------------------------------- the three sources
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
        suggestion |= dict(zip(positions.tolist(), (projection > 0).astype(int).tolist(), strict=True))
    members = _members(session, project, suggestion, rank)
    ids = [row.id for _, row in sorted(chosen.items())]
    return group_store.create(session, project, wanted.name, GroupSource.PSEUDO, names, members, direction_ids=ids)


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
    found = group_store.counts(session, row.id)
    accuracy = _accuracy(store, session, project, row)
    width = group_store.n_per_class(row)
    groups = [
        api.Group(
            id=label * width + index,
            label=label,
            index=index,
            name=name,
            n=found.get((label, index), (0, 0))[0],
            accuracy=accuracy.get(label * width + index),
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
        groups=groups,
        n_labelled=sum(hand for _, hand in found.values()),
        n_unassigned=sum(n for (_, index), (n, _) in found.items() if index is None),
        n_total=sum(n for n, _ in found.values()),
        version=row.version,
        created_at=row.created_at,
    )


def _accuracy(store: Store, session: Session, project: tables.Project, row: tables.GroupSet) -> dict[int, api.Interval]:
    """Mean accuracy of the attributed checkpoints on each group, with n = examples; empty before there are any."""
    said = examples.votes(store, session, project.id)
    if said is None:
        return {}
    group = group_store.assignment(session, row.id).group
    share: NDArray[np.float64] = (said == examples.labels(store, project, Split.VALIDATION)).mean(axis=0)
    return {
        int(g): mean_share(float(share[group == g].sum()), int((group == g).sum())) for g in np.unique(group) if g >= 0
    }


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
) -> api.LabelQueue:
    wanted = label_store.Filter(label, only_open)
    with store.read() as session:
        row = group_store.get(session, group_set_id)
        project = project_store.get(session, row.project_id)
        found = label_store.queue(session, row.id, wanted, order, after=_cursor(after), limit=limit + 1)
        more, found = len(found) > limit, found[:limit]
        return api.LabelQueue(
            items=_items(store, session, project, [member for member, _ in found]),
            total=label_store.count(session, row.id, wanted),
            order=order,
            next=f"{found[-1][1]!r}_{found[-1][0].example_id}" if more else None,
        )


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
    with store.session() as session:
        touched = label_store.write(session, group_set_id, batch.labels, batch.annotator)
        return _result(store, session, group_set_id, LabelAction.SET, touched)


def undo(store: Store, group_set_id: int, annotator: str) -> api.LabelResult:
    with store.session() as session:
        touched = label_store.undo(session, group_set_id, annotator)
        return _result(store, session, group_set_id, LabelAction.UNDO, touched)


def redo(store: Store, group_set_id: int, annotator: str) -> api.LabelResult:
    with store.session() as session:
        touched = label_store.redo(session, group_set_id, annotator)
        return _result(store, session, group_set_id, LabelAction.REDO, touched)


def _result(
    store: Store, session: Session, group_set_id: int, action: LabelAction, touched: Sequence[int]
) -> api.LabelResult:
    row = group_store.get(session, group_set_id)
    session.flush()
    found = group_store.members(session, row.id, touched)
    project = project_store.get(session, row.project_id)
    items = _items(store, session, project, [found[i] for i in dict.fromkeys(touched)])
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


def export(store: Store, group_set_id: int, format: str) -> Download:
    """Every validation example with its group, as CSV or JSON Lines."""
    with store.read() as session:
        row = group_store.get(session, group_set_id)
        project = project_store.get(session, row.project_id)
        found = label_store.export(session, row.id)
    values = [
        (
            member.example_id,
            member.position,
            path,
            project.class_names[member.label],
            member.group,
            None if member.group is None else row.group_names[member.label][member.group],
            member.suggestion,
            member.by_hand,
            member.unsure,
            annotator,
        )
        for member, path, annotator in found
    ]
    name = f"{project.slug}-groups-{row.id}-v{row.version}"
    writers = {"csv": csv_file, "jsonl": json_lines}
    if format not in writers:
        raise SettingsError(f"There is no format {format!r}.", fix=f"Choose one of {', '.join(writers)}.")
    return writers[format](name, EXPORT_FIELDS, values)
