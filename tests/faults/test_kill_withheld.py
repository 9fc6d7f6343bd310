"""Kill -9 while a denied distribution is taken out of what is served: a publication and its export
show all of the old or all of the new.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.engine import Checkpoint
from tests.support.driver import killed_at
from tests.support.mirror import Mirror, export, publication, remote, repository, resource
from tests.support.soundness import check_sound
from tests.support.upstream import Upstream, upstream

DENY = resource("Filter", "house", "type: python\nglobal: true\ndeny: [beta, 'alpha<1.1']")
DENIED = ["alpha-1.0-py3-none-any.whl", "beta-1.0-py3-none-any.whl"]
ALL = sorted([*DENIED, "alpha-1.1-py3-none-any.whl", "gamma-1.0-py3-none-any.whl"])


@pytest.fixture
def index() -> Iterator[Upstream]:
    with upstream() as served:
        served.release("alpha", "1.0", "1.1")
        served.release("beta", "1.0")
        served.release("gamma", "1.0")
        yield served


def exported(site: Mirror) -> list[str]:
    return sorted(path.name for path in (site.folder / "public").resolve().rglob("*.whl"))


@pytest.mark.parametrize(
    "step",
    [
        Checkpoint.PAGE_RENDERED,
        Checkpoint.PUBLICATION_COMPLETE,
        Checkpoint.POINTER_SET,
        Checkpoint.EXPORT_SWITCHED,
    ],
)
def test_it_is_withheld_whole_or_not_at_all_and_the_next_apply_goes_on(
    step: Checkpoint, index: Upstream, tmp_path: Path
) -> None:
    site = Mirror(tmp_path)
    rest = (
        remote(index.url),
        repository(more="sync: {mode: additive}\nguard: {maxRemovals: 100%}"),
        publication(more=export("public")),
    )
    site.declare(*rest)
    site.applied()
    for documents, after, others in (
        ((DENY, *rest), sorted(set(ALL) - set(DENIED)), ALL),
        (rest, ALL, sorted(set(ALL) - set(DENIED))),
    ):
        site.declare(*documents)
        killed_at(step, 1, site.words("apply", "--prune", "--allow-destroy"), log=tmp_path / "log")
        check_sound(site.home, tmp_path / "public")
        assert exported(site) in (after, others)
        site.applied("--prune", "--allow-destroy")
        check_sound(site.home, tmp_path / "public")
        assert exported(site) == after
        assert [
            response["key"]
            for response in site.get("publication", "team")["status"].get("withheldUnits", [])
        ] == (DENIED if after != ALL else [])
        assert not site.pending()
