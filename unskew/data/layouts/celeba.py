"""CelebA as published: `list_attr_celeba`, `list_eval_partition` (csv or txt) and `img_align_celeba/`.

    csv   a header line with image_id and the 40 attribute names; values -1 and 1       (Kaggle, group_DRO, WILDS)
    txt   the number of images, the 40 names, then one line an image                    (the authors' own files)

Two tasks are read from the same files.

    Blond   y = Blond_Hair, a = Male. Every image.
    Age     y = Young, a = Male, subsampled so that old men and young women are four times the others: with
            m = min(old women, old men // 4), the first 4 m old men and young women and the first m old women and
            young men in file order, in training; in validation all four groups have m = min(old women, old men).
            On the official files 62,030 training and 7,180 validation images. Test is left whole: worst-group and
            balanced accuracy do not depend on the sizes of its groups.

All 40 attributes are kept ("yes", "no"), for tables of subpopulations; `Male` is called `gender`.
Source: failure-directions (Jain et al., 2022), group_DRO (Sagawa et al., 2020).
"""

from __future__ import annotations

from pathlib import Path

from unskew.data.problems import Problems
from unskew.data.rows import Rows, known_split
from unskew.data.tables import Table, read_table
from unskew.schemas.enums import Split
from unskew.schemas.params import ImportParams

HAIR, AGES, GENDERS = ("not blond", "blond"), ("old", "young"), ("female", "male")
MAJORITY = {Split.TRAIN: 4, Split.VALIDATION: 1}  # times the minority, in CelebA-Age

_ATTRIBUTES, _PARTITION, _IMAGES = "list_attr_celeba", "list_eval_partition", "img_align_celeba"
_YES_NO = {"-1": "no", "0": "no", "1": "yes"}


def recognise(source: Path) -> bool:
    """A folder that holds both lists, itself or in `data/` as group_DRO keeps them."""
    return source.is_dir() and _root(source) is not None


def read_blond(source: Path, params: ImportParams, problems: Problems) -> Rows | None:
    """Blond hair against gender."""
    return _read(source, problems, target="Blond_Hair", classes=HAIR)


def read_age(source: Path, params: ImportParams, problems: Problems) -> Rows | None:
    """Age against gender, majority to minority 4 : 1."""
    rows = _read(source, problems, target="Young", classes=AGES)
    if rows is not None and problems.n == 0:
        n, chosen = len(rows.paths), _age_rows(rows)
        rows.keep(chosen)
        rows.warnings.append(f"{n - len(chosen):,} of {n:,} images are left out by the 4 : 1 rule.")
        problems.lines = rows.lines
    return rows


def _read(source: Path, problems: Problems, *, target: str, classes: tuple[str, ...]) -> Rows | None:
    root = _root(source) if source.is_dir() else None
    if root is None:
        message = f"The folder needs {_ATTRIBUTES} and {_PARTITION} (.csv or .txt) and the folder {_IMAGES}."
        problems.add(None, source.name, "", message)
        return None
    partition = _table(root, _PARTITION, problems)
    split_of = {} if partition is None else dict(zip(*map(partition.column, partition.header[:2]), strict=True))
    attributes = _table(root, _ATTRIBUTES, problems)
    if attributes is None or partition is None:
        return None
    for name in (target, "Male"):
        if name not in attributes.header:
            problems.add(1, name, ", ".join(attributes.header), f"{attributes.file.name} has no column {name!r}.")
            return None
    names = attributes.column(attributes.header[0])
    for row, name in enumerate(names):
        if name not in split_of:
            problems.add_row(row, "image_id", name, f"The image is not in {partition.file.name}.")
    others = [name for name in attributes.header[1:] if name != target]
    yes = {name: _yes_no(name, attributes, problems) for name in others}
    label = [{"yes": classes[1], "no": classes[0]}.get(_YES_NO.get(v, ""), v) for v in attributes.column(target)]
    gender = [{"yes": GENDERS[1], "no": GENDERS[0]}.get(value, "") for value in yes.pop("Male")]
    return Rows(
        root=root,
        paths=[f"{_IMAGES}/{name}" for name in names],
        labels=label,
        split=[split_of.get(name, Split.TRAIN.value) for name in names],
        attributes={"gender": gender, **yes},
        lines=attributes.lines,
        path_field="image_id",
        label_field=target,
        split_field="partition",
        class_names=classes,
    )


def _yes_no(name: str, table: Table, problems: Problems) -> list[str]:
    column = table.column(name)
    for row, value in enumerate(column):
        if value not in _YES_NO:
            problems.add_row(row, name, value, f"{name} is {value!r}; it must be 1 or -1.")
    return [_YES_NO.get(value, "") for value in column]


def _age_rows(rows: Rows) -> list[int]:
    """Positions to keep, in file order."""
    assert rows.split is not None
    members: dict[tuple[Split, str, str], list[int]] = {}
    for row, (text, age, gender) in enumerate(zip(rows.split, rows.labels, rows.attributes["gender"], strict=True)):
        split = known_split(text)
        if split is not None:
            members.setdefault((split, age, gender), []).append(row)

    def first(split: Split, age: str, gender: str, n: int) -> list[int]:
        return members.get((split, age, gender), [])[:n]

    keep: list[int] = [row for (split, _, _), found in members.items() if split is Split.TEST for row in found]
    for split, times in MAJORITY.items():
        old_women, old_men = (len(members.get((split, "old", gender), [])) for gender in GENDERS)
        minority = min(old_women, old_men // times)
        keep += first(split, "old", "female", minority) + first(split, "old", "male", times * minority)
        keep += first(split, "young", "female", times * minority) + first(split, "young", "male", minority)
    return sorted(keep)


def _root(source: Path) -> Path | None:
    for folder in (source, source / "data"):
        if all(_list_file(folder, name) is not None for name in (_ATTRIBUTES, _PARTITION)):
            return folder
    return None


def _list_file(folder: Path, name: str) -> Path | None:
    return next((p for p in (folder / f"{name}.csv", folder / f"{name}.txt") if p.is_file()), None)


def _table(folder: Path, name: str, problems: Problems) -> Table | None:
    file = _list_file(folder, name)
    assert file is not None
    table = read_table(file, problems) if file.suffix == ".csv" else _text_table(file, problems)
    if table is not None and len(table.header) < 2:
        problems.add(1, file.name, ", ".join(table.header), "The table needs an image name and at least one value.")
        return None
    return table


def _text_table(file: Path, problems: Problems) -> Table | None:
    """The authors' format: fields separated by blanks; the attribute list begins with a count and the names."""
    try:
        text = file.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        problems.add(None, file.name, "", "The file is not UTF-8 text.")
        return None
    lines = [(number, line.split()) for number, line in enumerate(text, start=1) if line.strip()]
    header = ["image_id", "partition"]
    if file.stem == _ATTRIBUTES:
        if len(lines) < 2 or not lines[0][1][0].isdigit():
            problems.add(1, file.name, text[0] if text else "", "The first line must be the number of images.")
            return None
        count, header = int(lines[0][1][0]), ["image_id", *lines[1][1]]
        lines = lines[2:]
        if count != len(lines):
            message = f"The first line promises {count:,} images; {len(lines):,} follow. Is the file whole?"
            problems.add(1, file.name, str(count), message)
            return None
    good = [(number, fields) for number, fields in lines if len(fields) == len(header)]
    for number, fields in lines:
        if len(fields) != len(header):
            problems.add(number, "row", " ".join(fields), f"The row has {len(fields)} fields; it needs {len(header)}.")
    columns = [[fields[i] for _, fields in good] for i in range(len(header))]
    problems.lines = [number for number, _ in good]
    return Table(file, header, problems.lines, columns)
