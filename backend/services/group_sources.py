"""Where group sets come from: directions (pseudo-groups), an attribute, a view, the loss, or names for hand labels."""

from __future__ import annotations

import numpy as np
from sqlalchemy.orm import Session

from backend.services import browse, directions, examples
from backend.store import attributions as attribution_store
from backend.store import groups as group_store
from backend.store import pages, saved_views, tables
from backend.store import projects as project_store
from backend.store.db import Store
from unskew import evaluation
from unskew.cut import cut
from unskew.errors import ConflictError, DataError, NotFoundError, SettingsError
from unskew.groups import attribute_values
from unskew.schemas import api
from unskew.schemas.enums import CutRule, GroupSource, Split

MAX_GROUPS = 9  # inside a class: one key on the keyboard each


def make(store: Store, session: Session, project: tables.Project, wanted: api.GroupSetCreate) -> tables.GroupSet:
    """A new group set from the one source that is given.

    Raises:
        SettingsError: none is given, or several.
    """
    given = [bool(wanted.direction_ids), wanted.attribute, bool(wanted.group_names), wanted.view_id, wanted.by_loss]
    if sum(source not in (None, False) for source in given) != 1:
        raise SettingsError(
            "A group set has one source.",
            fix="Give direction_ids, or an attribute, or a view_id, or by_loss, or group_names for hand labels.",
        )
    if wanted.direction_ids:
        return _from_directions(store, session, project, wanted)
    if wanted.attribute is not None:
        return _from_attribute(store, session, project, wanted.name, wanted.attribute)
    if wanted.view_id is not None:
        return _from_view(store, session, project, wanted.name, wanted.view_id)
    if wanted.by_loss:
        return _by_loss(store, session, project, wanted.name)
    return _by_hand(store, session, project, wanted)


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
