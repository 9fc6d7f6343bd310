"""References to secrets in manifests, and what a plugin may do with them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from reconciler import secret_values
from reconciler.model import Secret as Reference
from reconciler.plugin.options import OptionFault, Options, ask
from reconciler.reach import Reach

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_REFERENCE_HINT = "`{env: NAME}` or `{file: path}`"


def _variable(text: str) -> str:
    if not _VARIABLE.fullmatch(text):
        raise OptionFault(
            "expects the name of an environment variable",
            hint="the name, not the value: letters, digits and `_`",
        )
    return text


def _file_path(text: str) -> str:
    if not text or not text.isprintable():
        raise OptionFault("expects a path")
    if text.startswith("~"):
        raise OptionFault(
            "`~` is not expanded", hint="write an absolute path, or one relative to this file"
        )
    return text


Variable = Annotated[
    str,
    AfterValidator(_variable),
    Field(json_schema_extra={"pattern": f"^{_VARIABLE.pattern}$"}),
]
FilePath = Annotated[str, AfterValidator(_file_path), Field(min_length=1)]


class Secret(Options):
    """Reference to a secret: `{env: NAME}` or `{file: path}`."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["env"]}, {"required": ["file"]}]}
    )

    env: Variable | None = None
    file: FilePath | None = None

    _path: str | None = PrivateAttr(default=None)

    @model_validator(mode="before")
    @classmethod
    def _is_reference(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            raise OptionFault(
                "a secret is never written into a manifest", hint=f"refer to it: {_REFERENCE_HINT}"
            )
        return value

    @model_validator(mode="after")
    def _is_one(self) -> Secret:
        if (self.env is None) == (self.file is None):
            raise OptionFault("expects exactly one of `env` and `file`", hint=_REFERENCE_HINT)
        return self

    def model_post_init(self, context: Any) -> None:
        """Find the file, and ask whether manifests may refer to the secret."""
        context = context if isinstance(context, Mapping) else {}
        reach: Reach | None = context.get("reach")
        if self.file is not None:
            folder = context.get("folder", os.curdir)
            path = self._path = os.path.abspath(os.path.join(folder, self.file))
            ask(lambda reach: reach.secret_file(path), reach)
        elif (name := self.env) is not None:
            ask(lambda reach: reach.secret_variable(name), reach)

    @property
    def reference(self) -> Reference:
        """The reference, with the absolute path of its file."""
        return Reference(self.env, self._path)

    def reveal(self) -> str:
        """Return the value: of the variable, or the file's text less one newline at its end.

        It is masked in every text from now on. Keep it in no unit, page or note. Raises UsageFault
        naming the reference where it leads nowhere.
        """
        return secret_values.reveal(self.reference)


def secrets_of(value: Any, place: str = "spec") -> Iterator[tuple[str, Secret]]:
    """Yield the secrets in an option model, in order, each with its place in the manifest."""
    if isinstance(value, Secret):
        yield place, value
    elif isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            yield from secrets_of(getattr(value, name), f"{place}.{field.alias or name}")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from secrets_of(item, f"{place}.{key}")
    elif isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        for number, item in enumerate(value):
            yield from secrets_of(item, f"{place}[{number}]")
