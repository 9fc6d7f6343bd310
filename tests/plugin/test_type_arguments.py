"""Type arguments of plugin classes say their option models; what is written beside them wins."""

from __future__ import annotations

from typing import Any, TypeVar

import pytest

from reconciler.plugin import ContentType, Importer, Options, Publisher


class Words(Options):
    language: str = "en"


class MoreWords(Words):
    strict: bool = False


class Rules(Options):
    deny: str = ""


Model = TypeVar("Model", bound=Words)


class Both(Importer[Words, Rules]):
    pass


class OnlySource(Importer[Words]):
    pass


class Written(Importer):
    options = Words


class WrittenBeside(Importer[Words]):
    options = MoreWords


class Derived(WrittenBeside):
    pass


class Base(Importer[Model, Rules]):
    pass


class OfBase(Base[MoreWords]):
    pass


class Pages(Publisher[Words]):
    pass


class Type(ContentType[Words, Rules]):
    id = "words.word"


class Bare(Importer):
    pass


@pytest.mark.parametrize(
    ("cls", "options", "filter_options"),
    [
        (Both, Words, Rules),
        (OnlySource, Words, Options),
        (Written, Words, Options),
        (WrittenBeside, MoreWords, Options),
        (Derived, MoreWords, Options),
        (Base, Options, Rules),
        (OfBase, MoreWords, Rules),
        (Pages, Words, None),
        (Type, Words, Rules),
        (Bare, Options, Options),
    ],
)
def test_option_models_are_the_type_arguments(
    cls: Any, options: type[Options], filter_options: type[Options] | None
) -> None:
    assert cls.options is options
    assert getattr(cls, "filter_options", None) is filter_options


def test_a_text_instead_of_a_class_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Late: Importer\[\.\.\.\] takes the class itself"):

        class Late(Importer["Words"]):
            pass
