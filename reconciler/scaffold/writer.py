"""Render the templates and write the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from reconciler.errors import UsageFault
from reconciler.scaffold.names import Names

TEMPLATES = Path(__file__).with_name("templates")
SUFFIX = ".jinja"


def write(names: Names, folder: Path) -> list[Path]:
    """Write the distribution into `folder`, made if missing; return the paths of its files.

    Raises UsageFault if the folder is not empty or cannot be written. Everything is rendered before
    anything is written.
    """
    return write_files(_rendered(names), folder)


def write_files(
    texts: Mapping[str, str], folder: Path, within: Sequence[str] = ("",)
) -> list[Path]:
    """Write texts by their paths into `folder`, made if missing; return the paths of the files.

    `within`: the folders below it that must be empty or missing. Raises UsageFault if one is not,
    or cannot be written.
    """
    try:
        for name in within:
            _check_empty(folder / name)
        for path, text in texts.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageFault(f"`{folder}` cannot be written: {error.strerror}") from None
    return [folder / path for path in texts]


def _check_empty(folder: Path) -> None:
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise UsageFault(
            f"`{folder}` is not empty",
            hint="name an empty folder, or one that does not exist",
        )


def _rendered(names: Names) -> dict[str, str]:
    """Return texts by path within the distribution.

    A template that uses an unknown name raises, before any file is written.
    """
    # Autoescaping is for HTML. The only text that is filled in is a checked name.
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701
    )
    templates = sorted(
        path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob(f"*{SUFFIX}")
    )
    return {
        _target(template, names): environment.get_template(template).render(names=names)
        for template in templates
    }


def _target(template: str, names: Names) -> str:
    return template.removesuffix(SUFFIX).replace("PACKAGE", names.package).replace("NAME", names.id)
