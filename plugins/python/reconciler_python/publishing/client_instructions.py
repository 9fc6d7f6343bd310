"""Commands and configuration for pip, uv and twine, to be copied by people."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from reconciler.plugin import Instruction, InstructionConduit

PLACEHOLDER = "TOKEN"


def client_instructions(conduit: InstructionConduit) -> Iterator[Instruction]:
    """Yield what sets clients up for a publication, or for one project of it."""
    url = f"{conduit.base_url}simple/"
    name = conduit.publication
    if conduit.group:
        yield Instruction(
            "pip", f"pip install --index-url {_address(url, conduit)} {conduit.group}"
        )
        yield Instruction("uv", f"uv add --index {name}={_address(url, conduit)} {conduit.group}")
        return
    yield Instruction(
        "pip, for good (pip.conf)", f"[global]\nindex-url = {_address(url, conduit)}\n"
    )
    yield Instruction(
        "uv (pyproject.toml)",
        f'[[tool.uv.index]]\nname = "{name}"\nurl = "{url}"\ndefault = true\n',
    )
    if conduit.private:
        variable = "".join(letter if letter.isalnum() else "_" for letter in name).upper()
        yield Instruction(
            "uv, its token (environment)",
            f"UV_INDEX_{variable}_USERNAME=__token__\nUV_INDEX_{variable}_PASSWORD={PLACEHOLDER}\n",
        )
    if conduit.uploads:
        legacy = f"{conduit.base_url}legacy/"
        yield Instruction(
            "Upload with twine",
            f"twine upload --repository-url {legacy} -u __token__ -p {PLACEHOLDER} dist/*",
        )
        yield Instruction(
            "Upload with uv", f"uv publish --publish-url {legacy} --token {PLACEHOLDER} dist/*"
        )


def _address(url: str, conduit: InstructionConduit) -> str:
    """Return the URL of the index, with a placeholder for what a private one asks for."""
    if not conduit.private:
        return url
    parts = urlsplit(url)
    return f"{parts.scheme}://__token__:{PLACEHOLDER}@{parts.netloc}{parts.path}"
