"""Build the documentation site: `python -m docs.build [FOLDER]`.

Pages come from `docs/` and from documents that stand elsewhere in the tree (`PAGES`). A link to a
source file becomes a link to a page that shows the file, at the line of the name that the link's
text gives. So the same Markdown works on a code host and, offline, in the site.
"""

from __future__ import annotations

import ast
import os
import posixpath
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
# Documents outside of docs/, and where the site shows them.
PAGES = {
    "README.md": "index.md",
    "manifests/README.md": "reference/manifests.md",
    "plugins/README.md": "how-to/write-a-plugin.md",
    "plugins/example/README.md": "how-to/example-plugin.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
}
LANGUAGES = {".py": "python", ".yaml": "yaml", ".toml": "toml", ".md": "markdown", ".txt": "text"}
LINK = re.compile(
    r"(?<!!)\[(?P<text>(?:[^\]\[`]|`[^`]*`)*)\]\((?P<target>[^)\s#:]*)(?P<anchor>#[^)\s]*)?\)"
)
FENCE = re.compile(r"^\s*(```|~~~)")


class Link(NamedTuple):
    """A link of a page to something in the tree: where it stands, its text and its target."""

    page: str
    text: str
    target: str
    anchor: str


def main() -> None:
    """Stage and build the site in the folder that the command line names, or in `.docs/`."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / ".docs"
    stage(folder)
    sys.exit(build(folder).returncode)


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the site generator in a staged folder; warnings are errors."""
    program = Path(sys.executable).with_name("zensical")
    return subprocess.run(
        [str(program), "build", "--clean", "--strict"], cwd=folder, text=True, check=False
    )


def stage(folder: Path) -> None:
    """Write the generator's input, its configuration and its pages, into a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    pages = {**PAGES, **{f"docs/{name}": name for name in own_pages()}}
    configuration = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    write(folder / "zensical.toml", configuration.replace('paths = [".."]', f'paths = ["{ROOT}"]'))
    sources: set[str] = set()
    for origin, name in pages.items():
        text = (ROOT / origin).read_text(encoding="utf-8")
        write(folder / "pages" / name, rewrite(text, origin, pages, sources=sources))
    for path in sorted(sources):
        write(folder / "pages" / source_page(path), shown_source(path))


def own_pages() -> list[str]:
    """Return the paths of the pages in `docs/`, relative to it."""
    folder = ROOT / "docs"
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.md"))


def links(origin: str) -> Iterator[Link]:
    """Yield the links of a document to other files of the tree, outside of code blocks."""
    text = (ROOT / origin).read_text(encoding="utf-8")
    for line in prose(text):
        for match in LINK.finditer(line):
            if match["target"]:
                yield Link(
                    origin, match["text"], resolve(origin, match["target"]), match["anchor"] or ""
                )


def prose(text: str) -> Iterator[str]:
    """Yield the lines of a document outside of code blocks."""
    inside = False
    for line in text.splitlines():
        if FENCE.match(line):
            inside = not inside
        elif not inside:
            yield line


def resolve(origin: str, target: str) -> str:
    """Return the path that a link leads to; of a folder, the page that describes it."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(origin), target))
    if (ROOT / path).is_dir():
        for page in ("README.md", "__init__.py"):
            if (ROOT / path / page).exists():
                return f"{path}/{page}"
    return path


def rewrite(text: str, origin: str, pages: dict[str, str], *, sources: set[str]) -> str:
    """Return a page with its links made to lead to pages of the site.

    Args:
        text: The Markdown of the page.
        origin: Path of the document in the tree.
        pages: Paths in the site, by path in the tree.
        sources: Filled with the paths of source files that the page links to.
    """

    def replaced(match: re.Match[str]) -> str:
        if not match["target"]:
            return match[0]
        path = resolve(origin, match["target"])
        anchor = match["anchor"] or ""
        if path in pages:
            target = pages[path]
        else:
            sources.add(path)
            target, anchor = source_page(path), line_anchor(path, match["text"])
        here = posixpath.dirname(pages[origin])
        return f"[{match['text']}]({posixpath.relpath(target, here or '.')}{anchor})"

    lines, inside = [], False
    for line in text.splitlines():
        if FENCE.match(line):
            inside = not inside
        lines.append(line if inside else LINK.sub(replaced, line))
    return "\n".join(lines) + "\n"


def source_page(path: str) -> str:
    """Return the path in the site of the page that shows a source file."""
    return f"source/{path.lstrip('.')}.md"


def shown_source(path: str) -> str:
    """Return a page with the text of a file."""
    text = (ROOT / path).read_text(encoding="utf-8")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    language = LANGUAGES.get(Path(path).suffix, "text")
    return f'# {path}\n\n{fence}{language} linenums="1"\n{text.rstrip()}\n{fence}\n'


def line_anchor(path: str, text: str) -> str:
    """Return the anchor of the line that defines the name that a link's text gives, or nothing."""
    name = text.strip("`")
    line = defined_names(path).get(name) if path.endswith(".py") else None
    return f"#__codelineno-0-{line}" if line else ""


def defined_names(path: str) -> dict[str, int]:
    """Return the classes, functions and methods of a Python file with their lines.

    Methods are named `Class.method`.
    """
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return dict(names_in(tree, ""))


def names_in(node: ast.AST, prefix: str) -> Iterator[tuple[str, int]]:
    """Yield the names that are defined in a module or a class, with their lines."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield f"{prefix}{child.name}", child.lineno
            yield from names_in(child, f"{prefix}{child.name}.")


def write(path: Path, text: str) -> None:
    """Write a file and the folders that it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("NO_COLOR", "1")
    main()
