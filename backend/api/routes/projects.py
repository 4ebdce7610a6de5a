"""Projects, their runs and attributions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Query

from backend.api.deps import StoreDep
from backend.api.rights import ADMIN, VIEWER, Who
from backend.services import faults, fidelity, jobs, plugins, projects, uploads
from unskew.schemas import api
from unskew.schemas.params import ImportParams

router = APIRouter(prefix="/projects", tags=["projects"])


@router.get("", dependencies=[VIEWER])
def list_projects(store: StoreDep, who: Who) -> list[api.Project]:
    """Every project that one may see, newest first."""
    return projects.list_projects(store, visible=who.visible)


@router.post("/check", dependencies=[ADMIN])
def check(
    who: Who, params: ImportParams, decode: Annotated[bool, Query(description="read every image too")] = False
) -> api.ImportCheck:
    """A dry run of an import: problems by row, nothing registered."""
    if not who.at_machine:
        plugins.refuse_strange(plugins.of_params(params))
    return projects.check(params, decode=decode)


@router.post("", status_code=202, dependencies=[ADMIN])
def import_project(store: StoreDep, who: Who, params: ImportParams) -> api.Job:
    """Register a project: check every row, then write all of them or none."""
    return jobs.start_import(store, params, at_machine=who.at_machine)


@router.post("/uploads", status_code=201, dependencies=[ADMIN])
def upload(
    store: StoreDep,
    content: Annotated[bytes, Body(media_type="application/octet-stream")],
    name: Annotated[str, Query(min_length=1, max_length=255, description="of the file: its ending says what it is")],
) -> api.Upload:
    """Send a table, an .npz or a zip of images; import it by the source that comes back."""
    return uploads.keep(store, name, content)


@router.get("/{slug}", dependencies=[VIEWER])
def get(store: StoreDep, slug: str) -> api.ProjectDetail:
    """One project with its counts and how far it is."""
    return projects.get(store, slug)


@router.delete("/{slug}", status_code=204, dependencies=[ADMIN])
def delete(store: StoreDep, slug: str) -> None:
    """Delete a project with its labels and results."""
    projects.delete(store, slug)


@router.get("/{slug}/runs", dependencies=[VIEWER])
def runs(store: StoreDep, slug: str) -> list[api.Run]:
    """Every training run, oldest first."""
    return projects.runs_list(store, slug)


@router.get("/{slug}/attributions", dependencies=[VIEWER])
def attributions(store: StoreDep, slug: str) -> list[api.Attribution]:
    """Every attribution, newest first."""
    return projects.attributions_list(store, slug)


@router.get("/{slug}/lds", dependencies=[VIEWER])
def lds(store: StoreDep, slug: str) -> list[api.Lds]:
    """How well attributions predict models trained on random halves, newest first; made by jobs of kind lds."""
    return fidelity.list_lds(store, slug)


@router.get("/{slug}/faults", dependencies=[VIEWER])
def find_faults(store: StoreDep, slug: str) -> api.Faults:
    """Examples that repeat another, and files that are gone since the import."""
    return faults.find(store, slug)
