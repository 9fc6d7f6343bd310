"""Type arguments of plugin classes: `Importer[Source]` says which options a plugin knows.

Type checkers read them; here the option models of a class are taken from them, once, when the class
is made. An argument that is left out is Any: then how a plugin uses its options is not checked.
"""

from __future__ import annotations

from typing import Any, Final, get_args, get_origin

from typing_extensions import TypeVar

from reconciler.plugin.options import Options

Source = TypeVar("Source", default=Any)
"""Option model of a source."""
Filter = TypeVar("Filter", default=Any)
"""Option model of a filter."""
Pages = TypeVar("Pages", default=Any)
"""Option model of a publication."""

# the same of what only gives them away
Source_co = TypeVar("Source_co", default=Any, covariant=True)
Filter_co = TypeVar("Filter_co", default=Any, covariant=True)
Options_co = TypeVar("Options_co", default=Any, covariant=True)
Pages_co = TypeVar("Pages_co", default=Any, covariant=True)

_NONE: Final[dict[Any, Any]] = {}


def take_models(cls: type, base: Any, *names: str) -> None:
    """Set the class attributes `names` to the type arguments of `base`, in their order.

    Only where the class itself says them, and does not set the attribute. Raises TypeError for an
    argument that is a text.
    """
    if "__orig_bases__" not in vars(cls):
        return
    arguments = _arguments(cls, base)
    for name, parameter in zip(names, base.__parameters__, strict=True):
        model = arguments.get(parameter)
        if model is not None and not isinstance(model, type | TypeVar) and model is not Any:
            raise TypeError(
                f"{cls.__name__}: {base.__name__}[...] takes the class itself, not {model!r}"
            )
        if isinstance(model, type) and issubclass(model, Options) and name not in vars(cls):
            setattr(cls, name, model)


def _arguments(cls: type, base: type) -> dict[Any, Any]:
    """Return the arguments of `base`, by parameter, as `cls` has them."""
    for written in vars(cls).get("__orig_bases__", cls.__bases__):
        origin: Any = get_origin(written) or written
        if not (isinstance(origin, type) and issubclass(origin, base)):
            continue
        parameters = getattr(origin, "__parameters__", ())
        given = dict(zip(parameters, get_args(written), strict=False))
        if origin is base:
            return given
        return {key: given.get(value, value) for key, value in _arguments(origin, base).items()}
    return _NONE
