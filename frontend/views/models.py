"""Models & attribution: the ERM checkpoints, how they do per class, and what they learned from."""

from __future__ import annotations

import json

import pandas as pd
import streamlit as st
from pydantic import ValidationError

from frontend import api, pages
from frontend.components import actions
from frontend.components.messages import empty, shown
from frontend.components.rights import needs
from frontend.components.shell import require_project
from frontend.components.show import show
from unskew.charts import format as fmt
from unskew.charts import training
from unskew.schemas.api import Attribution, Interval, Lds, ProjectDetail, Run
from unskew.schemas.enums import DataKind, Engine, JobKind, Method, Role
from unskew.schemas.params import (
    REFERENCE_MODELS,
    AttributeParams,
    DiscoverParams,
    ImportCheckpointsParams,
    LdsParams,
    ModelSpec,
    TrainJobParams,
    TrainParams,
)


def page() -> None:
    project = require_project()
    st.title("Models & attribution")
    runs = [r for r in api.runs(project.slug) if r.method == Method.ERM and r.removed == 0]
    left, right = st.columns([3, 2], gap="large")
    with left, shown():
        _checkpoints(project, runs)
    with right, shown():
        _attribution(project, [r for r in runs if r.has_checkpoint])
        if api.attributions(project.slug):
            _fidelity(project)


# ---------------------------------------------------------------- checkpoints
def _checkpoints(project: ProjectDetail, runs: list[Run]) -> None:
    st.subheader("ERM checkpoints")
    if runs:
        show(training.class_accuracy(runs), key="class_accuracy", title="Accuracy per class")
        with st.expander(f"{fmt.plural(len(runs), 'run')}", type="compact", icon=":material/list:"):
            st.dataframe(run_table(runs), hide_index=True, key="erm_runs", alt="ERM runs with seed, accuracy and time")
    else:
        empty(
            "No checkpoint yet",
            "Train a few ERM models (several seeds make the attribution steadier), or bring your own.",
            icon=":material/model_training:",
        )
    with st.expander(
        "Train ERM checkpoints", expanded=not runs, icon=":material/play_arrow:", key=f"train_box_{bool(runs)}"
    ):
        _train_form(project)
    with st.expander("Import checkpoints of your own", icon=":material/upload_file:", key="checkpoint_box"):
        _import_form(project)


def run_table(runs: list[Run]) -> pd.DataFrame:
    """One row a run, an accuracy column a class."""
    rows = []
    for run in runs:
        row = {
            "Seed": run.seed,
            "Model": run.params.get("model", {}).get("factory", ""),
            "Time": fmt.seconds(run.seconds),
        }
        row |= {f"{g.name}": fmt.interval(g.accuracy) for g in run.class_accuracy}
        rows.append(row)
    return pd.DataFrame(rows)


def _train_form(project: ProjectDetail) -> None:
    with st.form("train_form", border=False):
        model = _model_fields("t", project.kind)
        columns = st.columns(4)
        with columns[0]:
            seeds = actions.seeds_input(
                "Checkpoints", key="t_seeds", default=5, help="One a seed: seeds 0 to n − 1.", width=400
            )
        defaults = TrainParams()
        epochs = columns[1].number_input("Epochs", 1, 10_000, defaults.epochs, key="t_epochs")
        batch = columns[2].number_input("Batch size", 1, 65_536, defaults.batch_size, key="t_batch")
        rate = columns[3].number_input("Learning rate", 0.0, 10.0, defaults.learning_rate, format="%.5f", key="t_rate")
        trainers = api.plugins().trainers
        trainer = None
        if trainers:
            trainer = st.selectbox("Trainer", trainers, index=None, key="t_trainer", placeholder="Unskew's own loop")
        submitted = st.form_submit_button(
            "Train", key="t_go", type="primary", icon=":material/play_arrow:", **needs(Role.EDITOR)
        )
    if (spec := _spec(*model)) is None:
        return
    train = TrainParams(
        epochs=int(epochs), batch_size=int(batch), learning_rate=rate or defaults.learning_rate, trainer=trainer
    )
    params = TrainJobParams(model=spec, train=train, seeds=seeds)
    actions.job_code(project.slug, JobKind.TRAIN, params, key="t_code")
    if submitted:
        actions.start(project.slug, JobKind.TRAIN, params)


def _model_fields(prefix: str, kind: DataKind) -> tuple[str, str]:
    left, right = st.columns([3, 2])
    factory = left.text_input(
        "Model",
        REFERENCE_MODELS[kind],
        key=f"{prefix}_model",
        help="Import path package.module:factory on this machine.",
    )
    kwargs = right.text_input("Its arguments (JSON)", "{}", key=f"{prefix}_kwargs")
    return factory, kwargs


def _spec(factory: str, kwargs: str) -> ModelSpec | None:
    try:
        return ModelSpec(factory=factory.strip(), kwargs=json.loads(kwargs or "{}"))
    except (ValidationError, json.JSONDecodeError) as error:
        st.error(f'The arguments must be a JSON object such as {{"width": 32}}; got {kwargs!r} ({error}).')
        return None


def _import_form(project: ProjectDetail) -> None:
    with st.form("checkpoint_form", border=False):
        model = _model_fields("c", project.kind)
        paths = st.text_area(
            "Files, one a line",
            key="c_paths",
            placeholder="/models/seed0.safetensors\n/models/seed1.pt",
            help="State dicts saved by torch.save (read with weights_only) or safetensors.",
        )
        submitted = st.form_submit_button(
            "Import", key="c_go", type="primary", icon=":material/download:", **needs(Role.EDITOR)
        )
    if submitted:
        files = [line.strip() for line in paths.splitlines() if line.strip()]
        spec = _spec(*model)
        if not files:
            st.warning("Name at least one file.")
        elif spec is not None:
            params = ImportCheckpointsParams(model=spec, paths=files)
            actions.start(project.slug, JobKind.IMPORT_CHECKPOINTS, params)


# ---------------------------------------------------------------- attribution
def _attribution(project: ProjectDetail, runs: list[Run]) -> None:
    st.subheader("Attribution")
    st.caption("How much each training example helps (+) or hurts (−) the margin of each validation example.")
    known = api.attributions(project.slug)
    for number, attribution in enumerate(known):
        _attribution_card(attribution, newest=number == 0)
    if not known:
        if not runs:
            st.markdown("Needs at least one checkpoint; five give a steadier answer than one.")
            return
        empty(
            "Not computed yet", f"Takes about as long as one epoch for each of {fmt.plural(len(runs), 'checkpoint')}."
        )
    if known and not api.directions(project.slug):
        st.markdown("**Next:** find the directions of each class's block.")
        if st.button(
            "Find directions", key="m_discover", type="primary", icon=":material/explore:", **needs(Role.EDITOR)
        ):
            actions.start(project.slug, JobKind.DISCOVER, DiscoverParams())
    elif known:
        pages.link("discover", "See the directions", icon=":material/explore:")
    with st.expander(
        "Compute attribution",
        expanded=bool(runs) and not known,
        key=f"attribute_box_{bool(known)}",
        icon=":material/play_arrow:",
    ):
        _attribute_form(project, runs)


def _attribution_card(attribution: Attribution, *, newest: bool) -> None:
    with st.container(border=True, key=f"attribution_{attribution.id}", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(f"**Attribution {attribution.id}**", width="content")
            if attribution.stale:
                st.badge("stale: newer checkpoints exist", color="orange", icon=":material/history:")
            elif newest:
                st.badge("used by Discover", color="green")
        st.caption(
            f"{fmt.plural(len(attribution.run_ids), 'checkpoint')} · {attribution.engine} engine · "
            f"{fmt.count(attribution.n_train)} training × {fmt.count(attribution.n_targets)} validation examples · "
            f"{fmt.count(attribution.projection_dim)} features · {fmt.ago(attribution.created_at)}"
        )
        with st.expander("Diagnostics", type="compact", key=f"diagnostics_{attribution.id}"):
            rows = [{"What": k.replace("_", " "), "Value": _short(v)} for k, v in attribution.diagnostics.items()]
            rows += [{"What": k.replace("_", " "), "Value": _short(v)} for k, v in attribution.params.items()]
            st.table(pd.DataFrame(rows), border="horizontal", hide_index=True, alt="Diagnostics and settings")


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(_short(v) for v in value[:8]) + (" …" if len(value) > 8 else "")
    return str(value)


def _attribute_form(project: ProjectDetail, runs: list[Run]) -> None:
    defaults = AttributeParams()
    with st.form("attribute_form", border=False):
        columns = st.columns(3)
        damping = columns[0].number_input(
            "Damping λ",
            0.0001,
            10_000.0,
            None if defaults.damping == "auto" else float(defaults.damping),
            key="a_damping",
            placeholder="auto",
            help="Times the mean of the diagonal; empty: by the numbers of examples and features.",
        )
        width_in = columns[1].number_input("Projection in", 1, 512, defaults.projection_in, key="a_in")
        width_out = columns[2].number_input("Projection out", 1, 512, defaults.projection_out, key="a_out")
        engine = st.segmented_control(
            "Engine",
            [*(engine for engine in Engine if engine is not Engine.IMPORT), *api.plugins().engines],
            default=defaults.engine,
            key="a_engine",
            required=True,
            help="factored: fast. exact: per-sample gradients, only for small models. traker: the authors' package, "
            "slow without CUDA.",
        )
        submitted = st.form_submit_button(
            "Attribute",
            key="a_go",
            type="primary",
            icon=":material/play_arrow:",
            **needs(Role.EDITOR, disabled=not runs),
        )
    params = AttributeParams(
        damping="auto" if damping is None else damping,
        projection_in=int(width_in),
        projection_out=int(width_out),
        engine=engine or defaults.engine,
    )
    actions.job_code(project.slug, JobKind.ATTRIBUTE, params, key="a_code")
    if submitted:
        actions.start(project.slug, JobKind.ATTRIBUTE, params)


# ---------------------------------------------------------------- fidelity
def _fidelity(project: ProjectDetail) -> None:
    st.subheader("Fidelity")
    st.caption(
        "LDS: models are trained on random halves of the training rows; does the attribution put their margins in the "
        "right order? 1 = always, 0 = chance."
    )
    found = api.lds(project.slug)
    if found:
        st.table(lds_table(found), border="horizontal", hide_index=True, alt="LDS of every attribution measured")
    measured = {one.attribution_id for one in found}
    _proxies([a for a in api.attributions(project.slug) if a.proxies and a.id not in measured])
    with st.expander("Measure it", key=f"lds_box_{bool(found)}", icon=":material/play_arrow:"):
        n = st.number_input("Halves to train", 2, 10_000, LdsParams().n_subsets, key="lds_n")
        params = LdsParams(n_subsets=int(n))
        with st.container(horizontal=True):
            clicked = st.button("Measure", key="lds_go", icon=":material/play_arrow:", **needs(Role.EDITOR))
            actions.job_code(project.slug, JobKind.LDS, params, key="lds_code")
        if clicked:
            actions.start(project.slug, JobKind.LDS, params)


def _proxies(unmeasured: list[Attribution]) -> None:
    """What is known of attributions without an LDS."""
    if not unmeasured:
        return
    st.markdown("**Not measured yet.** What can be said without retraining:")
    table = proxies_table(unmeasured)
    st.table(table, border="horizontal", hide_index=True, alt="Signs of quality of attributions without an LDS")
    st.caption(
        "Halves agree: rank correlation of the scores by one half of the checkpoints and by the other; noise gives 0, "
        "and 0.4 or more is good at the default λ. More damping raises it, better or not: compare at equal λ. "
        "Own class helps: share of validation examples that their class's training examples help on average; "
        "above 0.8 is good, 0.5 is chance, below it the sign is turned round."
    )


def proxies_table(unmeasured: list[Attribution]) -> pd.DataFrame:
    """One row an attribution."""
    rows = []
    for one in unmeasured:
        assert one.proxies is not None
        halves, own = one.proxies.halves, one.proxies.own_class
        rows.append(
            {
                "Attribution": str(one.id),
                "Engine": str(one.engine),
                "Halves agree [95 %]": "needs two checkpoints, not a matrix" if halves is None else _interval(halves),
                "Own class helps [95 %]": _interval(own),
                "Validation examples": str(own.n),
            }
        )
    return pd.DataFrame(rows)


def _interval(found: Interval) -> str:
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def lds_table(found: list[Lds]) -> pd.DataFrame:
    """One row a measurement, a column a class."""
    rows = []
    for one in found:
        row = {"Attribution": str(one.attribution_id), "Engine": str(one.engine), "Halves": str(one.n_subsets)}
        row["Mean [95 %]"] = f"{one.mean:.3f} [{one.interval[0]:.3f}, {one.interval[1]:.3f}]"
        row |= {c.name: f"{c.mean.value:.3f} (n = {c.mean.n})" for c in one.by_class}
        rows.append(row)
    return pd.DataFrame(rows)
