"""A body that is too large is refused before it fills the memory."""

from __future__ import annotations

from collections.abc import Iterator

from api_house import House, problem


def test_a_body_that_is_too_large_is_refused_unread(empty: House) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(1_000):
            yield bytes(2**20)

    headers = {"Content-Type": "application/json", "Content-Length": str(10 * 2**30)}
    problem(empty.http.post("/api/v1/projects", content=b"{}", headers=headers), 413, "10,737,418,240 bytes")
    problem(empty.http.post("/api/v1/projects", content=endless(), headers={"Content-Type": "application/json"}), 413)
