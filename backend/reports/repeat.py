"""How to repeat what a report shows: versions, every setting, and the commands."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from unskew.schemas import api
from unskew.schemas.enums import DataKind, GroupSource, Method, PruneRule
from unskew.schemas.methods import RECIPES
from unskew.schemas.params import SETS
from unskew.schemas.report import FrozenPruning

BY_HAND = (Method.ERM, Method.TRAK, Method.AUTO_TRAK, Method.RANDOM_K, Method.SUBG, Method.EXCLUDE)  # loop commands
PACKAGES = ("torch", "numpy", "scipy", "scikit-learn", "plotly")
PLACES = ("source", "root", "name")  # where the data lay is nobody's business; its fingerprint says what it was


def versions() -> dict[str, str]:
    """Of Unskew, Python and what the figures depend on, without importing any of it."""
    found = {"unskew": version("unskew"), "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def settings(
    project: api.ProjectDetail,
    runs: Sequence[api.Run],
    attributions: Sequence[api.Attribution],
    directions: Sequence[api.DirectionDetail],
    prunings: Sequence[FrozenPruning],
) -> dict[str, Any]:
    """The parameters of every stage, as they were stored with their results."""
    return {
        "import": {name: value for name, value in project.source.items() if name not in PLACES},
        "train": runs[0].params if runs else {},
        "attribute": attributions[0].params if attributions else {},
        "discover": directions[0].params if directions else {},
        "score": [
            {
                "method": p.score_set.method.value,
                "weight_rule": p.score_set.weight_rule.value,
                "group_set": p.score_set.group_set_name,
                "group_set_version": p.score_set.group_set_version,
                "removed_sha256": p.prune_set.digest if p.prune_set else None,
            }
            for p in prunings
        ],
    }


def commands(
    project: api.ProjectDetail,
    runs: Sequence[api.Run],
    attributions: Sequence[api.Attribution],
    directions: Sequence[api.DirectionDetail],
    prunings: Sequence[tuple[FrozenPruning, api.GroupSet]],
) -> list[str]:
    """The loop as it went, one command a line."""
    slug = project.slug
    made = [_import(project)]
    if attributions:
        made.append(_train(slug, [run for run in runs if run.id in attributions[0].run_ids]))
        made.append(_attribute(slug, attributions[0]))
    if directions:
        made.append(f"unskew discover {slug} --directions {directions[0].params['n_directions']}")
    for pruning, group_set in prunings:
        if pruning.score_set.method is Method.LOSS_TRAK:
            continue  # the battery makes its groups and scores
        made += _prune(slug, pruning, group_set, runs)
    return [*made, *_battery(slug, project, runs), f"unskew compare {slug}", f"unskew report {slug}"]


def _import(project: api.ProjectDetail) -> str:
    source = project.source
    if "continues" in source:
        number = str(source["prune_set"])
        return shlex.join(["unskew", "continue", source["continues"], "--prune-set", number, "--name", project.name])
    given = source["source"] if source.get("source") in SETS else "SOURCE"
    words = ["unskew", "import", given, "--name", project.name]
    if project.kind is DataKind.IMAGE:
        words += ["--image-size", str(project.image_size)]
    else:
        words += ["--kind", project.kind.value]
    if project.kind is DataKind.TEXT:
        words += ["--tokens", str(source["n_tokens"])]
        if source.get("tokenizer"):
            words += ["--tokenizer", source["tokenizer"]]
    for option, columns in (("--features", "feature_columns"), ("--attributes", "attribute_columns")):
        if source.get(columns) and given not in SETS:
            words += [option, ",".join(source[columns])]
    if ":" in (source.get("layout") or ""):  # a reader of one's own cannot be recognised
        words += ["--layout", source["layout"]]
    if given in SETS:
        for option in ("demo_seed", "skew", "validation"):
            words += [f"--{option.replace('_', '-')}", str(source[option])]
    for option in ("validation_share", "test_share"):
        if source.get(option):
            words += [f"--{option.replace('_', '-')}", str(source[option]), "--seed", str(source.get("seed", 0))]
    return shlex.join(words)


def _train(slug: str, erm: Sequence[api.Run]) -> str:
    if not erm:
        return f"unskew train {slug}"
    model, train = erm[0].params["model"], erm[0].params["train"]
    words = ["unskew", "train", slug, "--model", model["factory"]]
    if all(run.seconds == 0 for run in erm):  # imported, not trained
        return shlex.join([*words, "--checkpoint", "FILE"])
    words += ["--seeds", _seeds(run.seed for run in erm)]
    for option in ("epochs", "batch_size", "learning_rate", "weight_decay"):
        words += [f"--{option.replace('_', '-')}", str(train[option])]
    words += ["--trainer", train["trainer"]] if "trainer" in train else []
    return shlex.join(words)


def _attribute(slug: str, row: api.Attribution) -> str:
    words = ["unskew", "attribute", slug, "--engine", str(row.engine)]
    words += ["--projection", str(row.params["projection_in"]), "--damping", str(row.params["damping"])]
    words += ["--q-power", str(row.params.get("q_power", 1.0))]  # older ones were made with 1
    damping = row.params.get("error_damping", row.params["damping"])  # older ones: from the scores themselves
    words += ["--error-damping", str(damping)]
    return shlex.join(words)


def _prune(slug: str, pruning: FrozenPruning, group_set: api.GroupSet, runs: Sequence[api.Run]) -> list[str]:
    score_set, prune_set = pruning.score_set, pruning.prune_set
    score = ["unskew", "score", slug, *_groups(group_set), "--weight-rule", score_set.weight_rule.value]
    made = [shlex.join(score)]
    if prune_set is None:
        return made
    if prune_set.rule is PruneRule.EXCLUDED:
        return [*made, f"unskew subpopulations {slug} --exclude CLASS:ATTRIBUTE=VALUE"]
    rule = ["unskew", "prune", slug, "--rule", prune_set.rule.value]
    rule += ["--k", str(prune_set.k)] if prune_set.rule is PruneRule.MANUAL else []
    if prune_set.rule is PruneRule.BEST and score_set.curve:
        rule += ["--seeds", _seeds(score_set.curve[0].seeds)]
    made.append(shlex.join(rule))
    own = [r for r in runs if r.score_set_id == score_set.id and r.removed == prune_set.k]
    methods = [prune_set.method.value]
    if any(r.method is Method.RANDOM_K and r.removed == prune_set.k for r in runs):
        methods.append(Method.RANDOM_K.value)
    subg = any(r.method is Method.SUBG for r in runs) and group_set.attribute is not None
    methods += [Method.SUBG.value] if subg else []
    if own:
        again = ["unskew", "retrain", slug, "--methods", ",".join(methods), "--seeds", _seeds(r.seed for r in own)]
        made.append(shlex.join(again + (["--attribute", str(group_set.attribute)] if subg else [])))
    return made


def _battery(slug: str, project: api.ProjectDetail, runs: Sequence[api.Run]) -> list[str]:
    """The methods that no prune set stands behind; what is stored already is not trained again."""
    others = [run for run in runs if run.method not in BY_HAND]
    if not others:
        return []
    names = ",".join(method.value for method in Method if any(run.method is method for run in others))
    words = ["unskew", "battery", slug, "--methods", names, "--seeds", _seeds(run.seed for run in others)]
    if project.attributes and any(RECIPES[run.method].labels_used != "none" for run in others):
        words += ["--attribute", project.attributes[0]]
    return [shlex.join(words)]


def _groups(group_set: api.GroupSet) -> list[str]:
    if group_set.source is GroupSource.ATTRIBUTE:
        return ["--attribute", str(group_set.attribute)]
    return ["--pseudo"] if group_set.source is GroupSource.PSEUDO else ["--group-set", str(group_set.id)]


def _seeds(seeds: Any) -> str:
    """As the command line reads a list of seeds: one alone would be a number of seeds."""
    found = sorted(set(seeds))
    return ",".join(map(str, found)) + ("," if len(found) == 1 else "")
