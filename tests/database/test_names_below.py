"""Names within the folders of a publication, whatever lies below them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.database.test_dropped_files import publish
from tests.support.databases import NOW, created_publication, database

SEGMENTS = st.sampled_from(["a", "a0", "a.b", "b", "!", "~", "ä"])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(
    paths=st.sets(st.lists(SEGMENTS, min_size=1, max_size=3).map("/".join), min_size=1, max_size=9),
    limit=st.integers(1, 5),
)
def test_they_are_what_the_paths_say(
    paths: set[str], limit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    files = {path for path in paths if not any(other.startswith(f"{path}/") for other in paths)}
    folder = tmp_path_factory.mktemp("names")
    with database(folder) as opened:
        writer = opened.writer()
        id_ = created_publication(writer)
        writer.point(id_, publish(writer, id_, *sorted(files)), NOW)
        [served] = writer.served()
        for within in ("", "a/", "a/a0/", "none/"):
            below = [path.removeprefix(within) for path in files if path.startswith(within)]
            names = sorted({"".join(path.partition("/")[:2]) for path in below})
            assert writer.names_below(served, within, limit=1000) == names
            assert writer.names_below(served, within, limit=limit) == names[:limit]


def test_many_files_and_a_large_folder_between_them(tmp_path: Path) -> None:
    paths = [f"f{number:03}" for number in range(450)]
    with database(tmp_path) as opened:
        writer = opened.writer()
        id_ = created_publication(writer)
        inner = [f"f200x/{number}" for number in range(300)]
        writer.point(id_, publish(writer, id_, *paths, *inner), NOW)
        [served] = writer.served()
        assert writer.names_below(served, "", limit=1000) == sorted([*paths, "f200x/"])
