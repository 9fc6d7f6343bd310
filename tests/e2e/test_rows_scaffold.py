"""A row of the plugin API: from the scaffold to a published content type."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

from reconciler.plugin.testing import Upstream
from tests.support.clients import run, served
from tests.support.outside import (
    fetched,
    pip_install,
    terminal,
)

PLUGIN = "json-schemas"
EDITS: dict[str, list[tuple[str | re.Pattern[str], str]]] = {
    "src/reconciler_json_schemas/document_importer.py": [
        (
            "import AsyncIterator, Iterable, Mapping\n",
            "import AsyncIterator, Iterable, Mapping\nfrom hashlib import sha256\n"
            "from typing import Any\n",
        ),
        ("import msgspec\n", ""),
        ("    UNCHANGED,\n", "    Artifact,\n"),
        ("    ListedFile,\n", ""),
        ("    Unchanged,\n", ""),
        ("    listed_units,\n", ""),
        (re.compile(r"class ListedGroup.*?(?=class DocumentImporter)", re.DOTALL), ""),
        (
            re.compile(r"        for name, listed in .*?listed=True\)\n", re.DOTALL),
            """        for name, schemas in decode_json(page, dict[str, list[str]]).items():
            if is_file_name(name) and name != _INDEX and conduit.options.takes(name):
                yield Group(name, listed=True, data=schemas)
""",
        ),
        (
            re.compile(r"    async def read.*?(?=    def upload)", re.DOTALL),
            '''    async def read(self, conduit: ReadConduit, group: Group) -> Iterable[Unit]:
        """A schema is small: it is read whole, to learn its title and its digest."""
        units = []
        for name in group.data:
            if not is_file_name(name):
                conduit.refuse(ascii(name[:80]), "its name cannot be a file's name")
                continue
            page = await conduit.get(f"{group.name}/{name}")
            title = str(decode_json(page, dict[str, Any]).get("title", name))
            digest = sha256(page.body).hexdigest()
            schema = Artifact(name, digest, len(page.body), page.url)
            units.append(Unit(content.DOCUMENT, name, {"title": title}, [schema]))
        return units

''',
        ),
    ],
    "src/reconciler_json_schemas/document_publisher.py": [
        (
            'output.page("index.json", _json({name: {} for name in conduit.groups()}), JSON)',
            (
                "folders = {name: [unit.key for unit in conduit.units(name)] for name in"
                ' conduit.groups()}\n            output.page("index.json", _json(folders), JSON)'
            ),
        ),
        (
            "output.file(_path(unit), unit.artifacts[0])",
            'output.file(_path(unit), unit.artifacts[0], "application/schema+json")',
        ),
        ('return f"files/{unit.group}/{unit.key}"', 'return f"{unit.group}/{unit.key}"'),
        (
            'return {"name": unit.key,',
            'return {"title": unit.metadata.get("title", unit.key), "name": unit.key,',
        ),
    ],
    "src/reconciler_json_schemas/content.py": [('plural = "documents"', 'plural = "schemas"')],
    "tests/test_conformance.py": [
        (
            re.compile(r"FIRST: Documents = .*?(?=\n\ndef pages)", re.DOTALL),
            """FIRST: Documents = {
    "billing": {"invoice.json": b'{"title": "Invoice"}', "receipt.json": b"{}"},
    "people": {"person.json": b"{}"},
}
SECOND: Documents = {
    **FIRST,
    "people": {"person.json": b'{"title": "Person"}'},
    "places": {"town.json": b"{}"},
}
""",
        ),
        (
            re.compile(r"    files: .*?(?=\n\ndef offer)", re.DOTALL),
            """    files: dict[str, bytes] = {}
    for folder, bodies in documents.items():
        files |= {f"{folder}/{name}": body for name, body in bodies.items()}
    lists = {folder: list(bodies) for folder, bodies in documents.items()}
    return {"index.json": json.dumps(lists).encode(), **files}
""",
        ),
        (
            re.compile(r"def grow.*?(?=class TestConformance)", re.DOTALL),
            """def turn(upstream: Upstream) -> None:
    offer(upstream, SECOND)


""",
        ),
        ("changes=[grow, revise, shrink]", "changes=[turn]"),
        ("from hashlib import sha256\n", ""),
    ],
}
"""What an author changes in a generated distribution, so that it mirrors the JSON Schemas of a
folder: file -> (old, new).
"""


SCHEMAS = {
    "billing": {"invoice.json": b'{"title": "Invoice", "type": "object"}'},
    "people": {"person.json": b'{"type": "object"}'},
}


def edit(project: Path) -> None:
    """Each of the edits, exactly once."""
    for name, edits in EDITS.items():
        text = project.joinpath(name).read_text(encoding="utf-8")
        for old, new in edits:
            pattern = old if isinstance(old, re.Pattern) else re.compile(re.escape(old))
            text, times = pattern.subn(new.replace("\\", r"\\"), text)
            assert times == 1, (name, old)
        project.joinpath(name).write_text(text, encoding="utf-8")


def test_a5_from_the_scaffold_to_a_published_content_type_without_a_change_of_the_core(
    tmp_path: Path,
) -> None:
    project = tmp_path / "plugin"
    made = terminal(tmp_path, "plugins", "new", PLUGIN, str(project))
    assert made.code == 0, made.err
    edit(project)
    kit = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--basetemp",
        str(tmp_path / "kit"),
    ]
    said = run(kit, tmp_path, folder=project, PYTHONPATH=str(project / "src"))
    assert " passed" in said

    site = pip_install(project, tmp_path / "packages")
    pages = {
        f"{folder}/{name}": body for folder, held in SCHEMAS.items() for name, body in held.items()
    }
    upstream = Upstream(
        {
            "index.json": (
                json.dumps({folder: list(held) for folder, held in SCHEMAS.items()}).encode()
            ),
            **pages,
        }
    )
    with upstream.served():
        text = project.joinpath("manifests", f"{PLUGIN}.yaml").read_text(encoding="utf-8")
        tmp_path.joinpath("site.yaml").write_text(
            text.replace("https://documents.example.org/", upstream.url), encoding="utf-8"
        )
        applied = terminal(tmp_path, "apply", "site.yaml", "--home", "home", sites=(site,))
    assert applied.code == 0, applied.out + applied.err
    assert "schemas" in applied.out
    with served(tmp_path / "home", PYTHONPATH=os.fspath(site)) as url:
        assert fetched(f"{url}{PLUGIN}/billing/invoice.json") == SCHEMAS["billing"]["invoice.json"]
        assert json.loads(fetched(f"{url}{PLUGIN}/index.json")) == {
            "billing": ["invoice.json"],
            "people": ["person.json"],
        }
        [listed] = json.loads(fetched(f"{url}{PLUGIN}/billing.json"))
        assert listed["title"] == "Invoice"
