"""Tiny sets in the exact layouts of the public ones: same names, headers and numbering, generated pixels.

Sizes are chosen so that every group has its own count: a reader that numbers groups otherwise cannot pass.
"""

from __future__ import annotations

import csv
import json
import pickle
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image

# group = 2 * y + a, counts per split
BIRDS = {0: (14, 3, 2, 8), 1: (4, 4, 3, 3), 2: (5, 5, 4, 4)}
FACES = {0: (9, 7, 6, 2), 1: (4, 3, 3, 2), 2: (3, 4, 2, 2)}  # by blond and male
SYNSETS = ("n01440764", "n02114548", "n07715103", "n07745940")

_rng = np.random.default_rng(0)


def paint(path: Path, *, tint: tuple[int, int, int] = (0, 0, 0), size: tuple[int, int] = (16, 16)) -> None:
    """Noise around a colour, (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = _rng.integers(0, 90, (size[1], size[0], 3))
    Image.fromarray((noise + np.array(tint)).clip(0, 255).astype(np.uint8)).save(path)


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def spread(counts: dict[int, tuple[int, ...]]) -> list[tuple[int, int, int]]:
    """(split, y, a) of every example, the groups interleaved as in a real file."""
    rows = [(split, g // 2, g % 2) for split, sizes in counts.items() for g, n in enumerate(sizes) for _ in range(n)]
    return [rows[i] for i in np.random.default_rng(1).permutation(len(rows))]


def _tint(y: int, a: int) -> tuple[int, int, int]:
    return (160 * y, 80, 160 * a)


def waterbirds(root: Path, *, times: int = 1) -> Path:
    """group_DRO and WILDS: metadata.csv beside the images."""
    counts = {split: tuple(times * n for n in sizes) for split, sizes in BIRDS.items()}
    rows = []
    for i, (split, y, a) in enumerate(spread(counts)):
        name = f"{i + 1:03d}.{'Laysan_Albatross' if y else 'Acadian_Flycatcher'}/bird_{i:04d}.jpg"
        paint(root / name, tint=_tint(y, a))
        rows.append((i + 1, name, y, split, a, f"/{'o/ocean' if a else 'b/bamboo_forest'}/{i:08d}.jpg"))
    write_csv(root / "metadata.csv", ("img_id", "img_filename", "y", "split", "place", "place_filename"), rows)
    return root


def waterbirds_subpop(root: Path) -> Path:
    """BalancingGroups and SubpopBench: metadata_waterbirds.csv, images in a folder beside it."""
    rows = []
    for i, (split, y, a) in enumerate(spread(BIRDS)):
        paint(root / "waterbird_complete95_forest2water2" / f"b/{i}.jpg", tint=_tint(y, a))
        rows.append((i, f"b/{i}.jpg", split, y, a))
    write_csv(root / "metadata_waterbirds.csv", ("id", "filename", "split", "y", "a"), rows)
    return root


ATTRIBUTES = ("5_o_Clock_Shadow", "Blond_Hair", "Bushy_Eyebrows", "Gray_Hair", "Male", "Sideburns", "Young")


def celeba(root: Path, *, text: bool = False, rows: Sequence[dict[str, int]] | None = None) -> Path:
    """The two lists as csv or as the authors' txt, and img_align_celeba/ with 178 : 218 images."""
    if rows is None:
        rng = np.random.default_rng(2)
        rows = [
            {n: 2 * int(rng.integers(2)) - 1 for n in ATTRIBUTES}
            | {"Blond_Hair": 2 * y - 1, "Male": 2 * a - 1, "split": s}
            for s, y, a in spread(FACES)
        ]
    names = [f"{i + 1:06d}.jpg" for i in range(len(rows))]
    for name, row in zip(names, rows, strict=True):
        paint(root / "img_align_celeba" / name, tint=_tint(row["Blond_Hair"] > 0, row["Male"] > 0), size=(18, 22))
    values = [[row[name] for name in ATTRIBUTES] for row in rows]
    if text:
        lines = [f"{name} {' '.join(f'{v:2d}' for v in line)}" for name, line in zip(names, values, strict=True)]
        (root / "list_attr_celeba.txt").write_text("\n".join([str(len(rows)), " ".join(ATTRIBUTES), *lines]) + "\n")
        parts = [f"{name} {row['split']}" for name, row in zip(names, rows, strict=True)]
        (root / "list_eval_partition.txt").write_text("\n".join(parts) + "\n")
    else:
        write_csv(
            root / "list_attr_celeba.csv",
            ("image_id", *ATTRIBUTES),
            [(name, *line) for name, line in zip(names, values, strict=True)],
        )
        parts = [(name, row["split"]) for name, row in zip(names, rows, strict=True)]
        write_csv(root / "list_eval_partition.csv", ("image_id", "partition"), parts)
    return root


def faces_by_age(counts: dict[int, tuple[int, int, int, int]]) -> list[dict[str, int]]:
    """Rows for `celeba` with n (old woman, old man, young woman, young man) per split, interleaved."""
    rng = np.random.default_rng(3)
    return [
        {n: 2 * int(rng.integers(2)) - 1 for n in ATTRIBUTES} | {"Young": 2 * y - 1, "Male": 2 * a - 1, "split": s}
        for s, y, a in spread(counts)
    ]


def imagenet(root: Path, *, a_class: int = 20, kind: str = "torchvision") -> Path:
    """Class folders by synset; kind: torchvision, kaggle or tiny."""
    inside = root / "ILSVRC/Data/CLS-LOC" if kind == "kaggle" else root
    deeper = "images/" if kind == "tiny" else ""
    words = {"n01440764": "tench, Tinca tinca", "n02114548": "white wolf", "n07715103": "cauliflower"}
    answers = []
    for c, synset in enumerate(SYNSETS):
        for i in range(a_class + c):
            paint(inside / "train" / synset / f"{deeper}{synset}_{i}.JPEG", tint=(60 * c, 90, 30))
        for i in range(5):
            name = f"ILSVRC2012_val_{5 * c + i:08d}.JPEG"
            place = synset if kind == "torchvision" else deeper.rstrip("/")
            paint(inside / "val" / place / name, tint=(60 * c, 90, 30))
            answers.append((name, synset))
    if kind == "kaggle":
        rows = [(name.removesuffix(".JPEG"), f"{synset} 1 2 3 4 ") for name, synset in answers]
        write_csv(root / "LOC_val_solution.csv", ("ImageId", "PredictionString"), rows)
        (root / "LOC_synset_mapping.txt").write_text("".join(f"{s} {w}\n" for s, w in words.items()))
    if kind == "tiny":
        (root / "val/val_annotations.txt").write_text("".join(f"{n}\t{s}\t0\t0\t9\t9\n" for n, s in answers))
        (root / "words.txt").write_text("".join(f"{s}\t{w}\n" for s, w in words.items()))
    return root


def camelyon17(root: Path) -> Path:
    """WILDS: five hospitals; hospital 1 is validation, 2 is test, split 1 elsewhere in-distribution validation."""
    rows = []
    for i in range(40):
        patient, hospital, tumor = f"{4 + i % 3:03d}", i % 5, i // 5 % 2
        rows.append((i, patient, 1, 100 + i, 200, tumor, i % 7, hospital, int(i >= 35)))
        stem = f"patient_{patient}_node_1"
        paint(root / "patches" / stem / f"patch_{stem}_x_{100 + i}_y_200.png")
    header = ("", "patient", "node", "x_coord", "y_coord", "tumor", "slide", "center", "split")
    write_csv(root / "metadata.csv", header, rows)
    return root


def iwildcam(root: Path) -> Path:
    """WILDS: camera traps; in-distribution splits beside the others."""
    rows = []
    for i, split in enumerate(["train"] * 12 + ["val"] * 6 + ["test"] * 4 + ["id_val"] * 3):
        paint(root / "train" / f"{i}.jpg")
        rows.append((split, i % 5, 180 + i % 2, f"{i}.jpg", f"seq{i}"))
    write_csv(root / "metadata.csv", ("split", "location_remapped", "y", "filename", "seq_id"), rows)
    write_csv(root / "categories.csv", ("y", "category_id", "name"), [(180, 7, "ocelot"), (181, 9, "agouti")])
    return root


def arrays(root: Path, *, per_split: bool = False) -> Path:
    """`.npz` with colour images in one array, or MedMNIST's six arrays of grey ones."""
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(5)
    sizes = {"train": 12, "val": 6, "test": 4}
    if per_split:
        named = {f"{s}_images": rng.integers(0, 256, (n, 9, 9), dtype=np.uint8) for s, n in sizes.items()}
        named |= {f"{s}_labels": np.arange(n, dtype=np.uint8)[:, None] % 3 for s, n in sizes.items()}
        np.savez_compressed(root / "medmnist.npz", **named)
        return root / "medmnist.npz"
    n = sum(sizes.values())
    np.savez(
        root / "set.npz",
        images=rng.integers(0, 256, (n, 3, 10, 8), dtype=np.uint8),
        labels=np.arange(n) % 2,
        split=np.array([s for s, size in sizes.items() for _ in range(size)]),
        site=np.arange(n) % 3,
        class_names=np.array(["cat", "dog"]),
        embedding=np.zeros((n, 4)),
    )
    return root / "set.npz"


PAIRS = {0: (6, 4, 7, 2, 5, 3), 1: (3, 2, 2, 1, 4, 2), 2: (4, 3, 3, 2, 2, 1)}  # 3 classes, by negation
_LABELS = ("contradiction", "entailment", "neutral")
_HYPOTHESES = (
    ("They know: the sun shines.", "No-one, not you!"),
    ("No, they don't.", "I have NEVER seen it"),
)


def pairs() -> list[dict[str, Any]]:
    """Rows of MultiNLI with the group (y, a) and the split beside the published fields; every 9th has no gold label."""
    rows = [(split, g // 2, g % 2) for split, sizes in PAIRS.items() for g, n in enumerate(sizes) for _ in range(n)]
    made: list[dict[str, Any]] = []
    for i in np.random.default_rng(6).permutation(len(rows)):
        split, y, a = rows[i]
        if len(made) % 9 == 4:
            made.append({"gold_label": "-", "sentence1": "Well.", "sentence2": "No.", "split": 0, "y": -1, "a": 1})
        text = _HYPOTHESES[a][i % 2]
        told = {"gold_label": _LABELS[y], "sentence1": f"Premise number {i}.", "sentence2": text, "genre": "fiction"}
        made.append(told | {"split": split, "y": y, "a": a})
    return made


def multinli(root: Path, *, metadata: bool = True, raw: bool = True) -> Path:
    """The published files, and group_DRO's metadata_random.csv."""
    rows = pairs()
    parts = {"train": rows[:40], "dev_matched": rows[40:55], "dev_mismatched": rows[55:]}
    root.mkdir(parents=True, exist_ok=True)
    for part, some in parts.items() if raw else ():
        published = [{k: v for k, v in row.items() if k not in ("split", "y", "a")} for row in some]
        (root / f"multinli_1.0_{part}.jsonl").write_text("\n".join(map(json.dumps, published)) + "\n")
    if metadata:
        labelled = [(i, row["y"], row["a"], row["split"]) for i, row in enumerate(rows) if row["y"] >= 0]
        write_csv(root / "metadata_random.csv", ("", "gold_label", "sentence2_has_negation", "split"), labelled)
    return root


class InputFeatures:
    """What the scripts that group_DRO used pickled, of a module that nobody has: utils_glue."""

    def __init__(self, ids: list[int], mask: list[int], segments: list[int], label_id: int) -> None:
        self.input_ids, self.input_mask, self.segment_ids, self.label_id = ids, mask, segments, label_id


InputFeatures.__module__, InputFeatures.__qualname__ = "utils_glue", "InputFeatures"


def multinli_features(root: Path, save: Any = None) -> Path:
    """group_DRO's layout without the texts; `save(object, file)` writes the pickles, as torch.save did."""
    multinli(root / "data", raw=False)
    folder = root / "glue_data" / "MNLI"
    folder.mkdir(parents=True, exist_ok=True)
    rows = [row for row in pairs() if row["y"] >= 0]  # GLUE's files have no others
    parts = {"train_{}_mnli": rows[:40], "dev_{}_mnli": rows[40:55], "dev_{}_mnli-mm": rows[55:]}
    sys.modules["utils_glue"] = ModuleType("utils_glue")
    sys.modules["utils_glue"].InputFeatures = InputFeatures  # type: ignore[attr-defined]
    try:
        for name, some in parts.items():
            made = [_features(row) for row in some]
            file = folder / f"cached_{name.format('bert-base-uncased_128')}"
            (save or (lambda made, file: file.write_bytes(pickle.dumps(made, protocol=2))))(made, file)
    finally:
        del sys.modules["utils_glue"]
    return root


def _features(row: dict[str, Any]) -> InputFeatures:
    first, second = [1000 + len(row["sentence1"]), 2000], [3000 + row["a"], 4000, 5]
    ids = [101, *first, 102, *second, 102]
    pad = [0] * (128 - len(ids))
    segments = [0] * (len(first) + 2) + [1] * (len(second) + 1)
    return InputFeatures(ids + pad, [1] * len(ids) + pad, segments + pad, row["y"])


COMMENTS = {0: (7, 5, 4, 3), 1: (4, 3, 2, 2), 2: (3, 3, 2, 1)}  # by toxic and christian


def civilcomments(root: Path) -> Path:
    """WILDS: numbers from 0 to 1 for toxicity and each identity; identities of many comments are missing."""
    names = ("male", "female", "LGBTQ", "christian", "muslim", "other_religions", "black", "white")
    rows = []
    for i, (split, y, a) in enumerate(spread(COMMENTS)):
        told = {name: "" if i % 2 else "0.0" for name in names} | {
            "christian": f"{0.5 + 0.1 * (i % 5)}" if a else "0.4"
        }
        text = f'Comment {i}, he said,\n"and more".'
        rows.append((i, text, ("train", "val", "test")[split], 0.5 if y else 0.45, *told.values(), float(a)))
    header = ("", "comment_text", "split", "toxicity", *names, "identity_any")
    write_csv(root / "all_data_with_identities.csv", header, rows)
    return root
