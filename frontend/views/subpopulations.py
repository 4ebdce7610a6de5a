"""Subpopulations on the Score & prune page: mean T of every class × attribute value, samples, and excluding some."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from frontend import api
from frontend.components.messages import attempt
from frontend.components.rights import needs
from frontend.components.show import show
from frontend.components.strip import strip
from unskew.charts import format as fmt
from unskew.charts.subpopulations import subpopulation_chart
from unskew.schemas.api import ProjectDetail, PruneCreate, ScoreSet, Subpopulation, SubpopulationKey
from unskew.schemas.enums import PruneRule, Role

SAMPLES = 12
SHOWN = 5  # subpopulations with a sample: the most harmful


def section(project: ProjectDetail, score: ScoreSet) -> None:
    """Only where attributes are known on training examples; it reads them, and says so."""
    if not any(c.split == "train" for c in project.attribute_counts):
        return
    box = st.expander("Subpopulations", key="subpopulations_box", icon=":material/groups:", on_change="rerun")
    if not box.open:
        return
    with box:
        found = api.subpopulations(score.id, samples=SAMPLES)
        show(subpopulation_chart(found), key="subpopulations")
        rows = pd.DataFrame(
            {
                "Exclude": [False] * len(found),
                "Subpopulation": [s.name for s in found],
                "n": [s.mean.n for s in found],
                "Mean T": [fmt.signed(s.mean.value) for s in found],
                "Standard errors": [f"{s.standard_errors:+.1f}" for s in found],
                "T < 0": [fmt.percent(s.below_zero, 0) for s in found],
            }
        )
        edited = st.data_editor(
            rows, key=f"sub_{score.id}", hide_index=True, disabled=[c for c in rows.columns if c != "Exclude"]
        )
        st.caption(
            "Standard errors: distance from the mean of the class, against random subsets as large. This table reads "
            "the attributes of training examples."
        )
        _exclude(score, [s for s, out in zip(found, edited["Exclude"], strict=True) if out])
        for subpopulation in found[:SHOWN]:
            strip(
                subpopulation.examples,
                project=project.slug,
                class_names=project.class_names,
                image_size=project.image_size,
                heading=subpopulation.name,
                note=f"{len(subpopulation.examples)} of {fmt.count(subpopulation.mean.n)} at random, with their T",
                tile=58,
            )


def _exclude(score: ScoreSet, chosen: list[Subpopulation]) -> None:
    n = sum(s.mean.n for s in chosen)
    label = f"Exclude them (at most {fmt.count(n)} rows)" if chosen else "Exclude them"
    if st.button(label, key="sub_exclude", icon=":material/group_remove:", **needs(Role.EDITOR, disabled=not chosen)):
        keys = [SubpopulationKey(label=s.label, attribute=s.attribute, value=s.value) for s in chosen]
        name = "without " + ", ".join(s.name for s in chosen)
        body = PruneCreate(rule=PruneRule.EXCLUDED, subpopulations=keys, name=name[:100])
        if attempt(lambda: api.create_prune_set(score.id, body), done="Prune set saved: retrain without them on Jobs"):
            st.rerun()
