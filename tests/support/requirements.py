"""Programs that tests need, and that only a machine of developers may lack."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

IN_CI = "SUITE_IN_CI"  # variable of the environment; `CI` itself is not for the tests


def skip_or_fail(missing: str) -> NoReturn:
    """Skip a test for a reason; where `CI` was set, nothing may be missing."""
    if os.environ.get(IN_CI):
        pytest.fail(missing)
    pytest.skip(missing)
