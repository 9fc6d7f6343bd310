"""Profiles of Hypothesis, and the marker `soak`.

`suite`, loaded by default: the same examples in every run, so that a run never fails by chance; an
example that was found once is pinned beside its test by `@example`. No deadline and no health check
of speed, since a busy machine is no fault of the code.

`soak`: new examples in every run, `SOAK_FACTOR` times as many, kept in `.hypothesis` where they
fail. `python -m pytest -n auto --hypothesis-profile=soak -m soak` runs it.
"""

from __future__ import annotations

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import Distribution, distributions

import pytest
from hypothesis import HealthCheck, is_hypothesis_test, settings

gc.disable()  # until all is collected: what is imported stays
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ.setdefault("SUITE_IN_CI", os.environ.get("CI", ""))
for name in ("CI", "ALLOW_PATHS", "CONFIG", "SECRET_NAMES", "SECRET_HOSTS"):
    os.environ.pop(
        name if name == "CI" else f"RECONCILER_{name}", None
    )  # of the user who runs them
sys.dont_write_bytecode = False

MEMORY = "/dev/shm"
ROOM = 4 << 30  # bytes; the largest folder of a test is far smaller
if (
    "TMPDIR" not in os.environ
    and os.access(MEMORY, os.W_OK)
    and shutil.disk_usage(MEMORY).free > ROOM
):
    os.environ["TMPDIR"] = MEMORY
    tempfile.tempdir = None  # asked for anew

SOAK_FACTOR = 20
SLOW_MACHINE = (HealthCheck.too_slow, HealthCheck.data_too_large)
SETTINGS = "_hypothesis_internal_use_settings"  # where `@settings` leaves them; no public name

settings.register_profile(
    "suite", derandomize=True, database=None, deadline=None, suppress_health_check=SLOW_MACHINE
)
settings.register_profile(
    "soak",
    max_examples=100 * SOAK_FACTOR,
    deadline=None,
    suppress_health_check=SLOW_MACHINE,
    print_blob=True,
)
settings.load_profile("suite")


@pytest.fixture(scope="session", autouse=True)
def _installed_once() -> Iterator[None]:
    """Read the entry points of this environment once.

    Every command does, of 130 distributions, and none but those with plugins matters to it. No
    test installs into it; those that install elsewhere have another `sys.path`.
    """
    path = list(sys.path)
    installed = [each for each in distributions() if "reconciler." in _points(each)]
    for distribution in installed:
        distribution.read_text = cache(distribution.read_text)  # type: ignore[method-assign]

    def answer() -> Iterable[Distribution]:
        return installed if sys.path == path else distributions()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reconciler.plugin.entry_points.distributions", answer)
        yield


def _points(distribution: Distribution) -> str:
    return distribution.read_text("entry_points.txt") or ""


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name no test by packed bytes: they say the second at which they were made."""
    is_binary = isinstance(val, bytes) and not all(32 <= byte < 127 for byte in val)
    return argname if is_binary else None


def pytest_collection_modifyitems(config: pytest.Config, items: Iterable[pytest.Item]) -> None:
    """Mark every property test `soak`; under that profile, multiply the examples it asks for.

    Settings of its own do not bring back the health checks of speed.
    """
    soaking = config.getoption("--hypothesis-profile") == "soak"
    for function in {_mark(item) for item in items}:
        if function is not None:
            _tolerate_slow_machines(function)
        if soaking and function is not None:
            _multiply_examples(function)


def pytest_collection_finish() -> None:
    """Exempt all that lives for the whole run from garbage collections."""
    gc.enable()
    gc.collect()
    gc.freeze()


def _mark(item: pytest.Item) -> object | None:
    """Mark a property test; returns its function, which parametrised tests share, else None."""
    function = getattr(item, "obj", None)
    if function is None or not is_hypothesis_test(function):
        return None
    item.add_marker(pytest.mark.soak)
    shared: object = getattr(function, "__func__", function)
    return shared


def _tolerate_slow_machines(function: object) -> None:
    """Add what the profiles suppress to the health checks that a test suppresses itself."""
    own: settings | None = getattr(function, SETTINGS, None)
    if own is not None:
        suppressed = {*own.suppress_health_check, *SLOW_MACHINE}
        setattr(function, SETTINGS, settings(own, suppress_health_check=suppressed, deadline=None))


def _multiply_examples(function: object) -> None:
    """Raise the number of examples that a test sets itself, which no profile reaches."""
    own: settings | None = getattr(function, SETTINGS, None)
    most = settings.get_profile("soak").max_examples
    if own is not None and own.max_examples < most:
        more = min(own.max_examples * SOAK_FACTOR, most)
        setattr(function, SETTINGS, settings(own, max_examples=more))
