"""Debian's Chromium, driven by selenium: one browser without scripts in pages."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from tests.support.requirements import skip_or_fail

APT = "apt install chromium chromium-driver"
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


@contextmanager
def chromium(folder: Path) -> Iterator[Any]:
    """A driver; `folder` keeps what the browser keeps. Skips where there is no browser."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if browser is None or driver is None:
        skip_or_fail(f"there is no browser: {APT}")
    options = Options()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={folder}"):
        options.add_argument(flag)
    driving = webdriver.Chrome(options=options, service=Service(driver))
    try:
        driving.implicitly_wait(5)
        driving.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        yield driving
    finally:
        driving.quit()
