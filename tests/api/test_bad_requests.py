"""Malformed requests: each answered with a problem that names the field, and nothing is changed by any of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from api_house import PROJECT, House, problem
from test_rights import everything, numbers

BIG = 10**30
P = f"/projects/{PROJECT}"
JOBS = f"{P}/jobs"
SETS = f"{P}/group-sets"
LABELS = "/group-sets/{group_set_id}/labels"


def job(kind: str, **params: Any) -> dict[str, Any]:
    return {"kind": kind, "params": params}


def label(**changes: Any) -> dict[str, Any]:
    return {"labels": [{"key": "k" * 12, "example_id": "{example_id}", "group": 0} | changes]}


SOURCE = {"source": "/nowhere", "name": "x"}

# method, path below /api/v1, body (bytes = as they are), status, a word of the answer
CASES: list[tuple[str, str, Any, int, str]] = [
    # ---- bodies that are none
    ("POST", "/projects", b"", 422, "required"),
    ("POST", "/projects", b"{", 422, "JSON"),
    ("POST", "/projects", b"null", 422, "dictionary"),
    ("POST", "/projects", b"[]", 422, "dictionary"),
    ("POST", "/projects", b'"demo"', 422, "dictionary"),
    ("POST", "/projects", b"\xff\xfe\x00", 400, "parsing"),
    ("POST", "/projects", b"[" * 50_000, 400, "parsing"),
    ("POST", "/projects", b'{"source": "x", "name": "y", "image_size": NaN}', 422, "image_size"),
    ("POST", "/projects", b'{"source": "\\ud800", "name": "y"}', 422, "source"),
    # ---- imports
    ("POST", "/projects", {}, 422, "source"),
    ("POST", "/projects", {"source": "x"}, 422, "name"),
    ("POST", "/projects", SOURCE | {"name": ""}, 422, "name"),
    ("POST", "/projects", SOURCE | {"name": "x" * 101}, 422, "name"),
    ("POST", "/projects", SOURCE | {"source": None}, 422, "source"),
    ("POST", "/projects", SOURCE | {"source": ["a"]}, 422, "source"),
    ("POST", "/projects", SOURCE | {"image_size": 7}, 422, "image_size"),
    ("POST", "/projects", SOURCE | {"image_size": 1025}, 422, "image_size"),
    ("POST", "/projects", SOURCE | {"image_size": "64px"}, 422, "image_size"),
    ("POST", "/projects", SOURCE | {"image_size": 64.5}, 422, "image_size"),
    ("POST", "/projects", SOURCE | {"validation_share": 1}, 422, "validation_share"),
    ("POST", "/projects", SOURCE | {"validation_share": -0.1}, 422, "validation_share"),
    ("POST", "/projects", SOURCE | {"test_share": "half"}, 422, "test_share"),
    ("POST", "/projects", SOURCE | {"layout": "coco"}, 422, "layout"),
    ("POST", "/projects", SOURCE | {"seed": BIG}, 422, "seed"),
    ("POST", "/projects", SOURCE | {"shell": "rm"}, 422, "shell"),
    ("POST", "/projects", SOURCE | {"name": PROJECT}, 409, "already"),
    ("POST", "/projects/check?decode=perhaps", SOURCE, 422, "decode"),
    ("POST", "/projects", SOURCE | {"name": "a\0b"}, 422, "zero byte"),
    ("POST", "/projects", b'{"source": "x", "name": "\\udc80"}', 422, "name"),
    ("POST", "/projects", SOURCE | {"seed": -1}, 422, "seed"),
    ("POST", "/projects", SOURCE | {"seed": 2**32}, 422, "seed"),
    # ---- jobs
    ("POST", JOBS, {"kind": "mine"}, 422, "kind"),
    ("POST", JOBS, {"params": {}}, 422, "kind"),
    ("POST", JOBS, {"kind": "train", "params": []}, 422, "params"),
    ("POST", JOBS, job("import", **SOURCE), 422, "project of its own"),
    ("POST", JOBS, job("train", seeds=[]), 422, "seeds"),
    ("POST", JOBS, job("train", seeds="0,1"), 422, "seeds"),
    ("POST", JOBS, job("train", seeds=[0.5]), 422, "seeds"),
    ("POST", JOBS, job("train", seeds=[-1]), 422, "seeds"),
    ("POST", JOBS, job("train", train={"epochs": 0}), 422, "epochs"),
    ("POST", JOBS, job("train", train={"learning_rate": -1}), 422, "learning_rate"),
    ("POST", JOBS, job("train", train={"optimizer": "lion"}), 422, "optimizer"),
    ("POST", JOBS, job("train", train={"lr": 1}), 422, "lr"),
    ("POST", JOBS, b'{"kind": "train", "params": {"train": {"learning_rate": Infinity}}}', 422, "learning_rate"),
    ("POST", JOBS, job("attribute", engine="magic"), 422, "engine"),
    ("POST", JOBS, job("attribute", damping=0), 422, "damping"),
    ("POST", JOBS, job("attribute", run_ids=[987654]), 409, "no checkpoint"),
    ("POST", JOBS, job("discover", n_directions=0), 422, "n_directions"),
    ("POST", JOBS, job("discover", attribution_id=987654), 404, "987654"),
    ("POST", JOBS, job("score"), 422, "group_set_id"),
    ("POST", JOBS, job("score", group_set_id=987654), 404, "987654"),
    ("POST", JOBS, job("score", group_set_id=BIG), 422, "group_set_id"),
    ("POST", JOBS, job("search_k", score_set_id=987654), 404, "987654"),
    ("POST", JOBS, job("retrain", methods=[]), 422, "methods"),
    ("POST", JOBS, job("retrain", methods=["wish"]), 422, "methods"),
    ("POST", JOBS, job("import_checkpoints", model={}, paths=[]), 422, "paths"),
    ("POST", "/projects/none/jobs", job("train"), 404, "none"),
    ("GET", "/jobs/nothing", None, 404, "nothing"),
    ("GET", "/jobs?limit=0", None, 422, "limit"),
    ("GET", "/jobs?limit=many", None, 422, "limit"),
    # ---- examples
    ("GET", f"{P}/examples?split=dev", None, 422, "split"),
    ("GET", f"{P}/examples?limit=1001", None, 422, "limit"),
    ("GET", f"{P}/examples?after=nonsense", None, 422, "after"),
    ("GET", f"{P}/examples/987654", None, 404, "987654"),
    ("GET", f"{P}/examples/{BIG}", None, 404, ""),
    ("GET", f"{P}/examples/-1", None, 404, ""),
    ("GET", f"{P}/examples/1.5", None, 422, "example_id"),
    # ---- directions, groups, labels
    ("PATCH", "/directions/{direction_id}", {"sign": 0}, 422, "sign"),
    ("PATCH", "/directions/{direction_id}", {"state": "lost"}, 422, "state"),
    ("PATCH", "/directions/{direction_id}", {"name": "x" * 101}, 422, "name"),
    ("PATCH", "/directions/987654", {"name": "x"}, 404, "987654"),
    ("GET", "/directions/{direction_id}/strips?n=0", None, 422, "n"),
    ("POST", SETS, {}, 422, "name"),
    ("POST", SETS, {"name": "x", "attribute": "nothing"}, 404, "nothing"),
    ("POST", SETS, {"name": "x", "direction_ids": [987654]}, 404, "987654"),
    ("POST", SETS, {"name": "x", "direction_ids": ["a"]}, 422, "direction_ids"),
    ("POST", LABELS, {}, 422, "labels"),
    ("POST", LABELS, {"labels": []}, 422, "labels"),
    ("POST", LABELS, label(key="short"), 422, "key"),
    ("POST", LABELS, label(example_id=987654), 404, "987654"),
    ("POST", LABELS, label(example_id=BIG), 422, "example_id"),
    ("POST", LABELS, label(group=99), 422, "group"),
    ("POST", LABELS, label(group=-1), 422, "group"),
    ("POST", LABELS, {"labels": [label()["labels"][0]] * 1001}, 422, "labels"),
    ("GET", "/group-sets/{group_set_id}/queue?order=best", None, 422, "order"),
    ("GET", "/group-sets/{group_set_id}/queue?after=%00", None, 422, "after"),
    ("GET", "/group-sets/{group_set_id}/export?format=exe", None, 422, "format"),
    # ---- scores, prunes, comparisons, reports
    ("POST", "/score-sets/{score_set_id}/prune-sets", {"rule": "manual"}, 422, "k"),
    ("POST", "/score-sets/{score_set_id}/prune-sets", {"rule": "manual", "k": -1}, 422, "K = -1"),
    ("POST", "/score-sets/{score_set_id}/prune-sets", {"rule": "manual", "k": BIG}, 422, "number"),
    ("POST", "/score-sets/{score_set_id}/prune-sets", {"rule": "luck"}, 422, "rule"),
    ("GET", "/score-sets/{score_set_id}/preview", None, 422, "k"),
    ("GET", "/score-sets/{score_set_id}/preview?k=-1", None, 422, "k"),
    ("GET", f"{P}/compare?attribute=nothing", None, 404, "nothing"),
    ("GET", f"{P}/compare?group_set=987654", None, 404, "987654"),
    ("GET", f"{P}/flips?before_run=1", None, 422, "after_run"),
    ("GET", f"{P}/flips?before_run=1&after_run=987654", None, 404, "987654"),
    ("POST", f"{P}/reports", {"title": "x" * 201}, 422, "title"),
    ("POST", f"{P}/reports", {"notes": 7}, 422, "notes"),
    ("POST", f"{P}/reports", {"notes": "a\0b"}, 422, "notes"),
    ("POST", f"{P}/reports", {"blocks": [{"kind": "poem"}]}, 422, "kind"),
    ("POST", f"{P}/reports", {"expires_in_days": 0}, 422, "expires_in_days"),
    ("GET", f"{P}/compare?split=train", None, 422, "train"),
    ("GET", f"{P}/battery/league?split=train", None, 422, "train"),
    ("GET", f"{P}/confusion", None, 422, "runs"),
    ("GET", "/score-sets/{score_set_id}/subpopulations?seed=-1", None, 422, "seed"),
    ("GET", "/prune-sets/{prune_set_id}/download?format=exe", None, 422, "format"),
    ("POST", JOBS, job("train", model={"kwargs": {"width": BIG}}), 422, "width"),
    ("POST", JOBS, job("train", model={"kwargs": {"a\0b": 1}}), 422, "zero byte"),
    ("POST", JOBS, b'{"kind": "train", "params": {"model": {"kwargs": {"x": "\\ud800"}}}}', 422, "surrogate"),
    ("GET", "/jobs?project=%00", None, 422, "project"),
    ("GET", f"{P}/examples?after=%C2%B2", None, 422, "cursor"),
    ("POST", JOBS, job("train", model={"kwargs": {"x": json.loads("[" * 60 + "]" * 60)}}), 422, "deep"),
    # ---- people
    ("POST", "/users", {"name": "a b", "password": "x" * 12}, 422, "name"),
    ("POST", "/users", {"name": "ann", "password": "short"}, 422, "password"),
    ("POST", "/users", {"name": "ann", "password": "x" * 1025}, 422, "password"),
    ("POST", "/users", {"name": "ann", "password": "x" * 12, "role": "king"}, 422, "role"),
    ("PATCH", "/users/nobody", {"active": "perhaps"}, 422, "active"),
    ("POST", "/users/nobody/rights", {"role": "king"}, 422, "role"),
    ("POST", "/tokens", {"name": "", "days": 1}, 422, "name"),
    ("POST", "/tokens", {"name": "x", "days": 367}, 422, "days"),
    ("POST", "/tokens/1.5/revoke", None, 422, "token_id"),
    ("GET", "/audit?before=x", None, 422, "before"),
    # ---- views
    ("POST", f"{P}/views", {"name": ""}, 422, "name"),
    ("POST", f"{P}/views", {"name": "x", "rule": {"low": "much"}}, 422, "low"),
    ("POST", f"{P}/views", {"name": "x", "example_ids": [BIG]}, 422, "example_ids"),
    ("POST", f"{P}/views", b'{"name": "x", "rule": {"low": NaN}}', 422, "low"),
]


def case_name(case: tuple[str, str, Any, int, str]) -> str:
    method, path, body, _, word = case
    shown = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return f"{method} {path} {shown[:40]!r} {word}"


@pytest.fixture(scope="module")
def known(shared: House) -> dict[str, str]:
    return numbers(shared)


@pytest.fixture(scope="module", autouse=True)
def nothing_changes(shared: House) -> Iterator[None]:
    before = everything(shared)
    yield
    assert everything(shared) == before


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_it_is_refused_and_names_what_is_wrong(
    case: tuple[str, str, Any, int, str], shared: House, known: dict[str, str]
) -> None:
    method, path, body, status, word = case
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    for name, value in known.items():
        path = path.replace(f"{{{name}}}", value)
        content = content.replace(f"{{{name}}}".encode(), value.encode())
    sent = {} if body is None else {"content": content}
    headers = {"Content-Type": "application/json"} if sent else {}
    found = problem(shared.http.request(method, f"/api/v1{path}", headers=headers, **sent), status)
    assert word in found.detail or any(word in f"{row.field} {row.message}" for row in found.rows), found
    assert found.fix or status == 404  # what is not there needs no advice


def test_a_body_that_is_too_large_is_refused_unread(shared: House) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(10_000):
            yield bytes(2**20)

    headers = {"Content-Type": "application/json", "Content-Length": str(10 * 2**30)}
    problem(shared.http.post("/api/v1/projects", content=b"{}", headers=headers), 413, "10,737,418,240 bytes")
    problem(shared.http.post("/api/v1/projects", content=endless(), headers={"Content-Type": "application/json"}), 413)
