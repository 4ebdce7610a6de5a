"""The loop, one command a step: import, train, attribute, discover, score, prune, retrain, compare, report; doctor."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from backend.cli import follow
from backend.cli.context import DataOption, JsonOption, ProjectArgument, emit, opened, out, seeds, table
from backend.services import compare as compare_service
from backend.services import directions as direction_service
from backend.services import doctor as doctor_service
from backend.services import fidelity as fidelity_service
from backend.services import groups as group_service
from backend.services import projects as project_service
from backend.services import prune as prune_service
from backend.services import reports as report_service
from backend.store import jobs
from backend.store.db import Store
from unskew.data import SETS
from unskew.errors import ConflictError, SettingsError
from unskew.schemas import api, params
from unskew.schemas.enums import (
    DataKind,
    Engine,
    JobKind,
    Layout,
    Method,
    Orientation,
    PruneRule,
    ReportBlockKind,
    Split,
    WeightRule,
)

T = TypeVar("T", bound=StrEnum)
DEFAULT_WEIGHT_RULE: WeightRule = params.ScoreParams.model_fields["weight_rule"].default


def register(app: typer.Typer) -> None:
    app.command("projects")(projects)
    app.command("import")(import_)
    for command in (train, attribute, lds, discover, score, prune, retrain, compare, report, doctor):
        app.command()(command)


def projects(data: DataOption = None, as_json: JsonOption = False) -> None:
    """List the projects."""
    with opened(data) as store:
        found = project_service.list_projects(store)
        rows = [[p.slug, p.name, str(p.n_train), str(p.n_validation), str(p.n_test)] for p in found]
        emit(found, as_json, table("Projects", ["project", "name", "train", "validation", "test"], rows))


def import_(
    source: Annotated[
        str, typer.Argument(help=f"Folder or table, see docs/data.md; or a set that ships: {', '.join(SETS)}.")
    ],
    name: Annotated[str, typer.Option(help="What people see. [default: the source's name]")] = "",
    image_size: Annotated[
        int | None, typer.Option(help="Side in pixels that the model sees. [default: 64, or a shipped set's own]")
    ] = None,
    kind: Annotated[
        DataKind | None, typer.Option(help="What the rows are. [default: images, or texts if there is a text column]")
    ] = None,
    path_column: str = "path",
    text_column: str = "text",
    label_column: str = "label",
    split_column: str = "split",
    validation_share: Annotated[float, typer.Option(help="Taken from train when the source has no validation.")] = 0.0,
    test_share: float = 0.0,
    tokens: Annotated[int, typer.Option(help="Length of a text that the model sees.")] = 64,
    tokenizer: Annotated[
        str | None,
        typer.Option(help="tokenizer.json of a pretrained encoder, or its package. [default: words of the texts]"),
    ] = None,
    features: Annotated[str, typer.Option(help="Columns of a table, with commas. [default: all others]")] = "",
    attributes: Annotated[str, typer.Option(help="Columns of a table for evaluation; features too if named so.")] = "",
    seed: int = 0,
    skew: Annotated[
        float, typer.Option(min=0.5, max=1, help="Of a set that ships: share of a class with its own attribute.")
    ] = params.ImportParams.model_fields["skew"].default,
    validation: Annotated[
        params.ValidationSkew, typer.Option(help="Of a set that ships: balanced, or as skewed as training.")
    ] = "balanced",
    demo_seed: Annotated[int, typer.Option(min=0, help="Of a set that ships: another one of the same kind.")] = 0,
    layout: Annotated[
        str | None,
        typer.Option(help="How the source is laid out, or package.module:function, a reader. [default: recognised]"),
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Read everything, register nothing.")] = False,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register examples: check every row, then write all of them or none."""
    wanted = params.ImportParams(
        source=source if source in SETS else str(Path(source).expanduser().absolute()),
        name=name or Path(source).stem or source,
        **({} if image_size is None else {"image_size": image_size}),
        path_column=path_column,
        label_column=label_column,
        split_column=split_column,
        validation_share=validation_share,
        test_share=test_share,
        seed=seed,
        skew=skew,
        validation=validation,
        demo_seed=demo_seed,
        layout=None if layout is None else _name_or_path(Layout, layout, "layout"),
        kind=kind,
        text_column=text_column,
        n_tokens=tokens,
        tokenizer=tokenizer,
        feature_columns=_names(features) or None,
        attribute_columns=_names(attributes),
    )
    with opened(data) as store:
        if check:
            found = project_service.check(wanted, decode=True)
            rows = [["" if p.row is None else str(p.row), p.field, p.value, p.message] for p in found.problems]
            emit(
                found,
                as_json,
                table(
                    f"Layout {found.layout or 'unknown'}: {found.n_rows} rows, {found.n_problems} problems",
                    ["row", "field", "value", "what is wrong"],
                    rows,
                ),
            )
            raise typer.Exit(0 if found.ok else 1)
        job = follow.run(store, JobKind.IMPORT, wanted, quiet=as_json)
        made = project_service.get(store, job.result["project"])
        sizes = f"{made.n_train} train, {made.n_validation} validation, {made.n_test} test"
        emit(made, as_json, f"Layout {made.source['layout']}. Project [bold]{made.slug}[/]: {sizes}.")


def _name_or_path(known: type[T], given: str, what: str) -> T | str:
    """One of our names, or as it is where it is an import path.

    Raises:
        SettingsError: it is neither.
    """
    if ":" in given:
        return given
    try:
        return known(given)
    except ValueError:
        raise SettingsError(
            f"There is no {what} {given!r}.", fix=f"One of {', '.join(known)}, or package.module:function, your own."
        ) from None


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def train(
    project: ProjectArgument,
    model: Annotated[
        str, typer.Option(help="Import path package.module:function. [default: the reference model of the data]")
    ] = "",
    checkpoint: Annotated[
        list[Path] | None, typer.Option(help="Import this state dict instead of training; repeat it.")
    ] = None,
    seeds_: Annotated[str, typer.Option("--seeds", help="How many (5) or which (0,1,2).")] = "5",
    epochs: int = params.TrainParams().epochs,
    batch_size: int = params.TrainParams().batch_size,
    learning_rate: float = params.TrainParams().learning_rate,
    weight_decay: float = params.TrainParams().weight_decay,
    trainer: Annotated[
        str | None, typer.Option(help="Training loop of your own, package.module:function. [default: ours]")
    ] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train ERM checkpoints, or import those that you have."""
    recipe = params.TrainParams(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        trainer=trainer,
    )
    spec = params.ModelSpec(factory=model)
    with opened(data) as store:
        made = project_service.get(store, project)
        if checkpoint:
            paths = [str(path.expanduser().absolute()) for path in checkpoint]
            follow.run(
                store,
                JobKind.IMPORT_CHECKPOINTS,
                params.ImportCheckpointsParams(model=spec, paths=paths, train=recipe),
                made.id,
                quiet=as_json,
            )
        else:
            follow.run(
                store,
                JobKind.TRAIN,
                params.TrainJobParams(model=spec, train=recipe, seeds=seeds(seeds_)),
                made.id,
                quiet=as_json,
            )
        runs = [run for run in project_service.runs_list(store, project) if run.method is Method.ERM]
        rows = [[str(run.seed), *(percent(group.accuracy) for group in run.class_accuracy)] for run in runs]
        emit(runs, as_json, table("ERM, validation accuracy", ["seed", *made.class_names], rows))


def attribute(
    project: ProjectArgument,
    engine: Annotated[
        str,
        typer.Option(help="factored, exact (small models only), traker, import, or package.module:function."),
    ] = str(params.AttributeParams().engine),
    projection: Annotated[
        int, typer.Option(help="Random directions on each side of a layer.")
    ] = params.AttributeParams().projection_in,
    damping: Annotated[
        str, typer.Option(help="λ, times the mean of the diagonal of ΦᵀΦ; auto: by numbers of examples and features.")
    ] = str(params.AttributeParams().damping),
    matrix: Annotated[
        str | None, typer.Option(help="A τ computed elsewhere instead: .npy, (n_train, n_validation), + = helps.")
    ] = None,
    orientation: Annotated[
        Orientation, typer.Option(help="Which way round the .npy file is; traker folders say so themselves.")
    ] = Orientation.TRAIN_BY_TARGET,
    projection_dim: Annotated[int | None, typer.Option(help="Numbers of all layers together, or of traker.")] = None,
    q_power: Annotated[
        str,
        typer.Option(
            help="A training example's weight: this power of 1 - p, 1 as TRAK has it; auto: 1 - p as expected of a "
            "retrained model."
        ),
    ] = str(params.AttributeParams().q_power),
    error_damping: Annotated[
        str, typer.Option(help="λ for what errors have in common; auto: ten times that of the scores, at least 30.")
    ] = str(params.AttributeParams().error_damping),
    target_loss: Annotated[str | None, typer.Option(help="With --matrix: .npy, (n_validation,) [nats].")] = None,
    target_prediction: Annotated[str | None, typer.Option(help="With --matrix: .npy, int64, one a target.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Jobs that share the features; run as many `unskew worker`.")] = 1,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Attribute validation predictions to training examples, averaged over the ERM checkpoints; or import a matrix."""
    if engine == "import" and matrix is None:
        raise SettingsError("Engine import needs a file.", fix="Give --matrix FILE, and --orientation.")
    if engine == "import" or matrix is not None:
        engine = Engine.IMPORT.value
    wanted = params.AttributeParams.model_validate(
        {
            "engine": _name_or_path(Engine, engine, "engine"),
            "projection_in": projection,
            "projection_out": projection,
            "damping": damping,
        }
        | {"projection_dim": projection_dim, "q_power": q_power, "error_damping": error_damping}
    )
    with opened(data) as store:
        number = project_service.get(store, project).id
        if matrix is None:
            for helper in range(1, workers):
                jobs.create(store, JobKind.ATTRIBUTE, wanted.model_copy(update={"helper": helper}), number)
            follow.run(store, JobKind.ATTRIBUTE, wanted, number, quiet=as_json)
        else:
            files = {"matrix": matrix, "target_loss": target_loss, "target_prediction": target_prediction}
            given = {name: str(Path(file).resolve()) for name, file in files.items() if file is not None}
            own = params.ImportAttributionParams.model_validate(given | {"orientation": orientation})
            follow.run(store, JobKind.IMPORT_ATTRIBUTION, own, number, quiet=as_json)
        made = project_service.attributions_list(store, project)[0]
        emit(
            made,
            as_json,
            f"{made.n_targets} targets × {made.n_train} training examples, {len(made.run_ids)} checkpoints, "
            f"engine {made.engine}.{_proxies(made)}",
        )


def _proxies(made: api.Attribution) -> str:
    """Signs of its quality that needed no retraining; `unskew lds` measures it."""
    if made.proxies is None:
        return ""
    halves, own = made.proxies.halves, made.proxies.own_class
    agree = "" if halves is None else f"halves of the checkpoints agree {halves.value:.2f} (noise: 0); "
    return f"\nSigns of quality: {agree}own class helps {own.value:.0%} of {own.n} targets (chance: 50 %)."


def lds(
    project: ProjectArgument,
    subsets: Annotated[
        int, typer.Option(help="Models to train, each on a random half.")
    ] = params.LdsParams().n_subsets,
    seeds_: Annotated[str, typer.Option("--seeds", help="Models a half: how many (2) or which (0,1).")] = "1",
    attribution: Annotated[int | None, typer.Option(help="Which attribution. [default: the newest]")] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure fidelity: does the attribution predict models trained on random halves? Trained halves are kept."""
    wanted = params.LdsParams(attribution_id=attribution, n_subsets=subsets, seeds=seeds(seeds_))
    with opened(data) as store:
        job = follow.run(store, JobKind.LDS, wanted, project_service.get(store, project).id, quiet=as_json)
        made = next(row for row in fidelity_service.list_lds(store, project) if row.id == job.result["lds_id"])
        rows = [[c.name, f"{c.mean.value:.3f}", f"{c.mean.low:.3f} – {c.mean.high:.3f}"] for c in made.by_class]
        total = ["all", f"{made.mean:.3f}", f"{made.interval[0]:.3f} – {made.interval[1]:.3f}"]
        title = f"LDS of attribution {made.attribution_id} ({made.engine}), {made.n_subsets} halves"
        emit(made, as_json, table(title, ["class", "mean", "95 %"], [total, *rows]))


def discover(
    project: ProjectArgument,
    directions: Annotated[
        int, typer.Option(help="Principal directions a class.")
    ] = params.DiscoverParams().n_directions,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find directions of the attribution matrix, error-guided and principal, class by class, with their evidence."""
    with opened(data) as store:
        follow.run(
            store,
            JobKind.DISCOVER,
            params.DiscoverParams(n_directions=directions),
            project_service.get(store, project).id,
            quiet=as_json,
        )
        found = direction_service.list_directions(store, project)
        rows = [
            [
                d.label_name,
                d.title,
                f"{d.share:.1%}",
                d.evidence.verdict.value,
                _right(d.evidence.accuracy_negative),
                _right(d.evidence.accuracy_positive),
                in_words(d),
            ]
            for d in found
        ]
        columns = ["class", "direction", "share", "verdict", "right, − end", "right, + end", "+ end"]
        emit(found, as_json, table("Directions", columns, rows))


def _right(accuracy: api.Interval) -> str:
    return f"{accuracy.value:.0%} of {accuracy.n}" if accuracy.n else "not known"


def in_words(direction: api.Direction) -> str:
    """The three clearest differences of the + end."""
    return "; ".join(row.words for row in direction.evidence.differences[:3])


def score(
    project: ProjectArgument,
    group_set: Annotated[int | None, typer.Option(help="A group set by number.")] = None,
    attribute: Annotated[
        str | None, typer.Option(help="Groups from this attribute of the validation examples.")
    ] = None,
    pseudo: Annotated[bool, typer.Option("--pseudo", help="Pseudo-groups from each class's first direction.")] = False,
    weight_rule: WeightRule = DEFAULT_WEIGHT_RULE,
    class_: Annotated[
        str | None, typer.Option("--class", help="Debias this class alone: only its groups weigh; then search for K*.")
    ] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score every training example by how much it supports the groups that the model serves worst."""
    if sum((group_set is not None, attribute is not None, pseudo)) != 1:
        raise SettingsError("Which groups?", fix="Give exactly one of --group-set NUMBER, --attribute NAME, --pseudo.")
    with opened(data) as store:
        made = project_service.get(store, project)
        chosen = group_set if group_set is not None else group_set_for(store, project, attribute)
        job = follow.run(
            store,
            JobKind.SCORE,
            params.ScoreParams(group_set_id=chosen, weight_rule=weight_rule, label=class_number(made, class_)),
            made.id,
            quiet=as_json,
        )
        result = prune_service.score_set(store, job.result["score_set_id"])
        rows = [[w.name, str(w.n), f"{w.loss:.3f}", f"{w.weight:.3f}"] for w in result.weights]
        emit(
            result,
            as_json,
            table(
                f"Score set {result.id}: {result.star} of {result.n_train} training examples have T < 0",
                ["group", "n", "loss", "w_G"],
                rows,
            ),
        )


def class_number(project: api.Project, name: str | None) -> int | None:
    if name is None or name in project.class_names:
        return None if name is None else project.class_names.index(name)
    raise SettingsError(f"There is no class {name!r}.", fix=f"Classes: {', '.join(project.class_names)}.")


def group_set_for(store: Store, project: str, attribute: str | None) -> int:
    """The project's group set from this attribute, or from each class's first direction; made if it is not there."""
    if attribute is not None:
        return group_service.ready(store, project, api.GroupSetCreate(name=attribute, attribute=attribute))
    return group_service.ready(store, project, group_service.from_first_directions(store, project))


def prune(
    project: ProjectArgument,
    score_set: Annotated[int | None, typer.Option(help="[default: the newest]")] = None,
    rule: Annotated[
        PruneRule, typer.Option(help="star = #{T < 0}; best = K* by retraining on a grid; manual = --k.")
    ] = PruneRule.BEST,
    k: Annotated[int | None, typer.Option(help="How many rows to drop, with --rule manual.")] = None,
    seeds_: Annotated[str, typer.Option("--seeds", help="Seeds of the search for K*.")] = "3",
    output: Annotated[Path | None, typer.Option(help="Also write the rows: .csv, .json or .npy.")] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Freeze the list of training rows to drop."""
    with opened(data) as store:
        made = project_service.get(store, project)
        sets = prune_service.list_score_sets(store, project)
        if not sets:
            raise ConflictError("There are no scores yet.", fix=f"First: unskew score {project} --pseudo")
        chosen = score_set if score_set is not None else sets[0].id
        if rule is PruneRule.BEST and prune_service.score_set(store, chosen).best_k is None:
            follow.run(
                store,
                JobKind.SEARCH_K,
                params.SearchKParams(score_set_id=chosen, seeds=seeds(seeds_)),
                made.id,
                quiet=as_json,
            )
        result = prune_service.create_prune_set(store, chosen, api.PruneCreate(rule=rule, k=k))
        if output is not None:
            output.write_bytes(prune_service.download(store, result.id, output.suffix.lstrip(".") or "csv").content)
        emit(
            result,
            as_json,
            f"Prune set {result.id}: K = {result.k} ({result.rule.value}), by class {result.removed_by_class}.",
        )


def retrain(
    project: ProjectArgument,
    methods: Annotated[str, typer.Option(help="Of " + ", ".join(Method) + ".")] = "",
    seeds_: Annotated[str, typer.Option("--seeds")] = "3",
    prune_set: Annotated[int | None, typer.Option(help="[default: the newest]")] = None,
    attribute: Annotated[str | None, typer.Option(help="What methods with group labels read.")] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Retrain: methods × seeds, with ERM and as many random removals as controls."""
    with opened(data) as store:
        made = project_service.get(store, project)
        prunes = prune_service.list_prune_sets(store, project)
        chosen = next((p for p in prunes if prune_set in (None, p.id)), None)
        names = [name.strip() for name in methods.split(",") if name.strip()]
        if not names:
            names = ["erm", *([chosen.method.value, "random_k"] if chosen else []), *(["subg"] if attribute else [])]
        wanted = params.RetrainParams.model_validate(
            {
                "methods": names,
                "seeds": seeds(seeds_),
                "prune_set_id": chosen.id if chosen else None,
                "group_attribute": attribute,
            }
        )
        job = follow.run(store, JobKind.RETRAIN, wanted, made.id, quiet=as_json)
        emit(job, as_json, f"Done. Look at them: unskew compare {project}")


def compare(
    project: ProjectArgument,
    attribute: Annotated[str | None, typer.Option(help="Groups from this attribute. [default: the first]")] = None,
    group_set: Annotated[int | None, typer.Option(help="Groups from this group set (validation only).")] = None,
    split: Split = Split.TEST,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the methods: worst-group, balanced and average accuracy with their intervals."""
    with opened(data) as store:
        result = compare_service.compare(store, project, split=split, attribute=attribute, group_set_id=group_set)
        columns = ["method", "labels used", "removed", "worst group", "balanced", "average", "seeds"]
        emit(
            result,
            as_json,
            table(f"{result.split.value}, groups: {result.grouping}", columns, [method_row(m) for m in result.methods]),
        )
        for warning in () if as_json else result.warnings:
            out.print(f"[yellow]{warning}[/]")


def method_row(m: api.MethodResult) -> list[str]:
    accuracies = (m.worst_group_accuracy, m.balanced_accuracy, m.average_accuracy)
    return [m.method.value, m.labels_used, str(m.removed), *(percent(value) for value in accuracies), str(len(m.seeds))]


def percent(value: api.Interval) -> str:
    return f"{100 * value.value:.1f} ({100 * value.low:.1f}–{100 * value.high:.1f})"


def report(
    project: ProjectArgument,
    title: str = "",
    block: Annotated[
        list[str] | None,
        typer.Option(help="A block, or package.module:function, one of your own; repeat it. [default: all of ours]"),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Write the HTML file here.")] = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Freeze a report: one HTML file that works offline, and a view-only link."""
    with opened(data) as store:
        blocks = [api.ReportBlock(kind=_name_or_path(ReportBlockKind, name, "block")) for name in block or ()]
        made = report_service.create(store, project, api.ReportCreate(title=title, blocks=blocks))
        if output is not None:
            output.write_text(report_service.html(store, made.id), encoding="utf-8")
        emit(made, as_json, f"Report {made.id}: {made.title}" + (f"\nWritten to {output}" if output else ""))


def doctor(
    repair: Annotated[bool, typer.Option("--repair", help="Remove what nothing refers to.")] = False,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check the database, every artifact's checksum, and the workers."""
    with opened(data) as store:
        findings = doctor_service.check(store, repair=repair)
        lines = "\n".join(findings["problems"]) or "Everything is in order."
        emit(findings, as_json, f"{findings['database']}\n{findings['artifacts']} artifacts checked.\n{lines}")
        raise typer.Exit(1 if findings["problems"] and not repair else 0)
