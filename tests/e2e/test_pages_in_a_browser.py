"""Pages for people, in a real browser that runs no script: links, forms, layout, colours."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

from selenium.webdriver.common.by import By

from reconciler.plugin.registry import Registry
from reconciler.plugin.testing.publication_server import served_publications
from tests.support.chromium import chromium
from tests.support.faulty import running
from tests.support.mirror import resource
from tests.support.mirrored_index import NEWEST, WHEELS, MirroredIndex
from tests.support.wheels import build_wheel

PICTURES = "RECONCILER_PICTURES"  # folder that keeps the pictures
SIZES = {"wide": (1280, 860), "narrow": (390, 844)}
SCHEMES = {"light": "rgba(255, 255, 255, 1)", "dark": "rgba(18, 22, 29, 1)"}
LOOKS = (("light", "wide"), ("dark", "narrow"))
OTHER_LOOKS = (("dark", "wide"), ("light", "narrow"))  # of one page, for the time it takes
RULES = resource("Filter", "house", "type: python\ndeny: ['app==1.9']")
SECRET = (
    "repository: team\npath: inner/secret\naccess: {read: [{token: {env: READ_TOKEN}}]}\n"
    "filters: [house]"
)


def test_people_find_their_way(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("READ_TOKEN", "open-sesame")
    with running(lambda _: None) as server:
        index = MirroredIndex(tmp_path / "site", server)
        index.more = (RULES, resource("Publication", "secret", SECRET))
        index.says("dep", build_wheel("dep", "2"), build_wheel("dep", "3"))
        index.apply()
        with (
            served_publications(index.mirror.home, Registry()) as url,
            chromium(tmp_path / "browser") as driver,
        ):
            person = Person(driver, url)
            person.reads_of_a_project()
            person.reads_of_changes()
            person.signs_in("open-sesame")
            person.looks_at_pages(Path(os.environ.get(PICTURES, tmp_path)))
            assert person.complaints() == []


class Person:
    """A person with a browser, who clicks on what is shown."""

    def __init__(self, driver: Any, url: str) -> None:
        self._driver = driver
        self._url = url

    def reads_of_a_project(self) -> None:
        self.opens("")
        assert "secret" not in self.text
        self.clicks("team")
        assert "8 distributions" in self.text
        self.searches("ap")
        assert "1 of 3 match ap" in self.text
        self.clicks("app")
        assert [each.text for each in self.all("h2")][:4] == ["2.0rc1", "1.11", "1.10", "1.9"]
        assert "yanked: breaks <b>all</b>" in self.text
        assert WHEELS[NEWEST].sha256 in self.text
        assert f"pip install --index-url {self._url}team/simple/ app" in self.text
        link = self.all(f"a[href$='{NEWEST}']")[0].get_dom_attribute("href")
        assert link.startswith("../../../../team/files/app/")
        self.clicks("See which rule keeps it out.")
        assert "It is here" in self.text

    def reads_of_changes(self) -> None:
        self.opens("team/")  # where nothing is published
        assert self._driver.current_url == f"{self._url}-/publications/team/"
        self.clicks("History")
        assert "published" in self.text
        self.clicks("Compare")
        assert "dep-3-py3-none-any.whl" in self.text
        self.clicks("Why is it missing?")
        self.searches("unknown-project")
        assert "does not hold unknown-project" in self.text

    def signs_in(self, token: str) -> None:
        header = base64.b64encode(f"__token__:{token}".encode()).decode()
        self._command("Network.enable", {})
        self.opens("-/publications/secret/")
        assert "Not found" in self.text
        self._command(
            "Network.setExtraHTTPHeaders", {"headers": {"Authorization": f"Basic {header}"}}
        )
        self.opens("inner/secret/")
        assert self._driver.current_url == f"{self._url}-/publications/secret/"
        assert "__token__:TOKEN@" in self.text
        self.clicks("app")
        assert "Withheld: " in self.text
        self._command("Network.setExtraHTTPHeaders", {"headers": {}})

    def looks_at_pages(self, pictures: Path) -> None:
        """Take pictures of each kind of page, in both colours and widths."""
        pictures.mkdir(parents=True, exist_ok=True)
        here = "-/publications/team/"
        kinds = {"front": "", "publication": here, "group": f"{here}content/app"}
        kinds |= {"history": f"{here}history", "why": f"{here}why?q=app"}
        for kind, path in kinds.items():
            self.opens(path)
            for scheme, size in LOOKS + (OTHER_LOOKS if kind == "publication" else ()):
                self._sees(scheme, *SIZES[size])
                body = self.all("body")[0]
                assert body.value_of_css_property("background-color") == SCHEMES[scheme]
                metrics = self._command("Page.getLayoutMetrics", {})
                assert metrics["cssContentSize"]["width"] <= SIZES[size][0], f"{kind} overflows"
                picture = pictures / f"{kind}-{scheme}-{size}.png"
                assert self._driver.save_screenshot(str(picture))

    def complaints(self) -> list[str]:
        """Return what the browser had to say, of the policy of pages above all."""
        entries = [entry["message"] for entry in self._driver.get_log("browser")]
        return [message for message in entries if "404" not in message]

    def opens(self, path: str) -> None:
        self._driver.get(self._url + path)

    def clicks(self, words: str) -> None:
        called = f"[normalize-space()='{words}']"
        self._driver.find_element(By.XPATH, f"//main//button{called} | //main//a{called}").click()

    def searches(self, words: str) -> None:
        field = self.all("input[type=search]")[0]
        field.clear()
        field.send_keys(words)
        field.submit()

    def all(self, selector: str) -> list[Any]:
        elements: list[Any] = self._driver.find_elements(By.CSS_SELECTOR, selector)
        return elements

    @property
    def text(self) -> str:
        text: str = self.all("main")[0].text
        return text

    def _sees(self, scheme: str, width: int, height: int) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._command("Emulation.setDeviceMetricsOverride", size)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self._command("Emulation.setEmulatedMedia", {"features": [feature]})

    def _command(self, name: str, values: dict[str, Any]) -> Any:
        return self._driver.execute_cdp_cmd(name, values)
