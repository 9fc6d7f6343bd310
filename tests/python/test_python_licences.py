"""`licenses:` of a Filter: what a distribution says of its licence, and what is allowed."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.licenses import canonicalize_license_expression
from pydantic import TypeAdapter, ValidationError

from reconciler.plugin import Unit
from reconciler_python.evidence.licence_classifiers import (
    _APPROVED,
    _OTHERS,
    classifiers_expression,
)
from reconciler_python.evidence.licences import (
    LicenceRules,
    licence_facts,
    licence_reason,
    licence_text,
)
from reconciler_python.evidence.spdx import UnreadableExpression, parse_expression, satisfied
from reconciler_python.options.filter_options import FilterOptions


def rules(*allow: str, **keys: Any) -> LicenceRules:
    return LicenceRules.model_validate({"allow": list(allow), **keys})


def reason(found: LicenceRules, **facts: Any) -> str | None:
    return licence_reason(Unit("python.distribution", "a-1.0.tar.gz", {"_license": facts}), found)


def said(expression: str, *allow: str) -> str | None:
    return reason(rules(*allow), expression=expression)


class TestExpressions:
    @pytest.mark.parametrize(
        ("expression", "allow"),
        [
            ("MIT", ["MIT"]),
            ("mit", ["Apache-2.0", "MIT"]),
            ("MIT OR GPL-3.0-only", ["MIT"]),
            ("MIT AND Apache-2.0", ["Apache-2.0", "MIT"]),
            ("(MIT OR GPL-3.0-only) AND (ISC OR GPL-2.0-only)", ["MIT", "ISC"]),
            ("MIT AND ISC OR GPL-3.0-only", ["GPL-3.0-only"]),
            ("MIT", ["MIT OR Apache-2.0"]),
            (
                "GPL-2.0-only WITH Classpath-exception-2.0",
                ["GPL-2.0-only WITH Classpath-exception-2.0"],
            ),
            ("GPL-2.0-only WITH Classpath-exception-2.0", ["GPL-2.0-only"]),
            (
                "GPL-2.0-or-later WITH Classpath-exception-2.0",
                ["GPL-2.0-only WITH Classpath-exception-2.0"],
            ),
            ("GPL-2.0-or-later", ["GPL-2.0-only"]),
            ("GPL-2.0+", ["GPL-2.0-or-later"]),
            ("GPL-2.0", ["GPL-2.0-only"]),
            ("MPL-1.1+", ["MPL-1.1"]),
            ("BSD-3-Clause AND GPL-3.0-only", ["GPL-3.0-only AND BSD-3-Clause"]),
            ("MIT AND (BSD-3-Clause OR ISC)", ["(ISC OR BSD-3-Clause) AND MIT"]),
            ("LicenseRef-Acme", ["LicenseRef-Acme"]),
        ],
    )
    def test_satisfied(self, expression: str, allow: list[str]) -> None:
        assert said(expression, *allow) is None

    @pytest.mark.parametrize(
        ("expression", "allow"),
        [
            ("GPL-3.0-only", ["MIT"]),
            ("MIT AND GPL-3.0-only", ["MIT"]),
            ("MIT OR Apache-2.0", ["ISC"]),
            (
                "GPL-3.0-only",
                ["GPL-3.0-or-later"],
            ),  # accepting "or later" is not accepting this version alone
            ("GPL-2.0-only", ["GPL-2.0-only WITH Classpath-exception-2.0"]),
            ("GPL-2.0-only WITH GCC-exception-2.0", ["GPL-2.0-only WITH Classpath-exception-2.0"]),
            ("BSD-3-Clause", ["BSD-3-Clause AND MIT"]),
            ("LicenseRef-Acme", ["LicenseRef-Other"]),
            ("MPL-1.1", ["MPL-1.1+"]),
        ],
    )
    def test_refused_by_name(self, expression: str, allow: list[str]) -> None:
        assert said(expression, *allow) == f"licence {expression}"

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "Foo",
            "MIT AND",
            "MIT MIT",
            "MIT WITH MIT",
            "(MIT",
            "MIT)",
            "AND",
            "MIT OR OR ISC",
            "WITH",
            "()",
            "MIT ()",
            "MIT WITH",
        ],
    )
    def test_what_is_no_expression_is_refused_to_be_read(self, text: str) -> None:
        with pytest.raises(UnreadableExpression):
            parse_expression(text)

    @pytest.mark.parametrize(
        "text",
        [
            "(" * 60 + "MIT" + ")" * 60,
            "(" * 3000 + "MIT",
            "MIT OR " * 5000 + "MIT",
            "MIT\0",
            "\ud800",
        ],
    )
    def test_hostile_expressions_are_unknown_licences(self, text: str) -> None:
        found = said(text, "MIT")
        assert found is not None
        assert found.startswith("licence unknown: `")
        assert found.isprintable()
        assert len(found) < 150

    def test_the_evaluator_agrees_with_every_truth_assignment(self) -> None:
        names = ("MIT", "ISC", "Zlib", "0BSD")

        @given(
            st.recursive(
                st.sampled_from(names),
                lambda inner: st.tuples(inner, st.sampled_from(("AND", "OR")), inner),
                max_leaves=8,
            )
        )
        def check(tree: Any) -> None:
            expression = parse_expression(_written(tree))
            assert expression == parse_expression(_written(_mirrored(tree)))
            for chosen in itertools.chain.from_iterable(
                itertools.combinations(names, count) for count in range(len(names) + 1)
            ):
                assert satisfied(expression, frozenset(chosen)) == _holds(
                    tree, frozenset(chosen)
                ), (tree, chosen)

        check()

    @given(
        st.lists(
            st.sampled_from(["MIT", "ISC", "GPL-2.0-only", "GPL-2.0-or-later", "MIT OR Zlib"]),
            min_size=1,
        ),
        st.sampled_from(["Zlib", "MIT AND ISC"]),
    )
    def test_allowing_more_never_refuses_more(self, allow: list[str], also: str) -> None:
        for expression in (
            "MIT",
            "MIT AND ISC",
            "Zlib OR GPL-2.0-or-later",
            "GPL-2.0+ AND (Zlib OR MIT)",
        ):
            if said(expression, *allow) is None:
                assert said(expression, *allow, also) is None
            assert said(expression, *allow) == said(expression, *reversed(allow))


def _written(tree: Any) -> str:
    return tree if isinstance(tree, str) else f"({_written(tree[0])} {tree[1]} {_written(tree[2])})"


def _mirrored(tree: Any) -> Any:
    return tree if isinstance(tree, str) else (_mirrored(tree[2]), tree[1], _mirrored(tree[0]))


def _holds(tree: Any, allowed: frozenset[str]) -> bool:
    if isinstance(tree, str):
        return tree in allowed
    left, right = _holds(tree[0], allowed), _holds(tree[2], allowed)
    return (left and right) if tree[1] == "AND" else (left or right)


class TestFacts:
    def test_the_expression_comes_first_then_classifiers_then_the_text(self) -> None:
        classifiers = ["License :: OSI Approved :: MIT License"]
        assert (
            reason(rules("MIT"), expression="ISC", classifiers=classifiers, text="MIT")
            == "licence ISC"
        )
        assert (
            reason(rules("ISC"), classifiers=classifiers, text="ISC")
            == "licence MIT, by classifier"
        )
        assert reason(rules("ISC"), text="mit") == "licence MIT"
        assert reason(rules("MIT"), classifiers=["License :: OSI Approved"], text="MIT") is None

    def test_an_expression_that_cannot_be_read_is_not_replaced_by_a_classifier(self) -> None:
        found = reason(
            rules("MIT"),
            expression="Sesame",
            classifiers=["License :: OSI Approved :: MIT License"],
        )
        assert found == "licence unknown: `Sesame` is no SPDX expression"

    @pytest.mark.parametrize(
        ("classifiers", "allow", "words"),
        [
            (
                ["BSD License"],
                ["BSD-3-Clause"],
                "licence BSD-2-Clause AND BSD-3-Clause, by classifier",
            ),
            (["BSD License"], ["BSD-3-Clause", "BSD-2-Clause"], None),
            (["Apache Software License"], ["Apache-2.0"], None),
            (
                ["MIT License", "GNU General Public License v3 (GPLv3)"],
                ["MIT"],
                "licence GPL-3.0-only AND MIT, by classifier",
            ),
            (["MIT License", "Sesame"], ["MIT"], "licence unknown: classifier `Sesame`"),
            (["GNU General Public License v2 or later (GPLv2+)"], ["GPL-2.0-only"], None),
        ],
    )
    def test_classifiers(self, classifiers: list[str], allow: list[str], words: str | None) -> None:
        assert (
            reason(
                rules(*allow),
                classifiers=[f"License :: OSI Approved :: {each}" for each in classifiers],
            )
            == words
        )

    def test_proprietary_is_no_licence_that_is_known(self) -> None:
        assert (
            reason(rules("MIT"), classifiers=["License :: Other/Proprietary License"])
            == "licence unknown: classifier `Other/Proprietary License`"
        )

    def test_every_classifier_of_the_table_is_an_expression_in_canonical_spelling(self) -> None:
        for text in (*_APPROVED.values(), *_OTHERS.values()):
            assert canonicalize_license_expression(text) == text
        assert classifiers_expression(
            [f"License :: OSI Approved :: {name}" for name in ("MIT License", "ISC License (ISCL)")]
        ) == ("ISC AND MIT", "")

    def test_unknown_is_refused_unless_it_is_allowed(self) -> None:
        for facts in (
            {},
            {"text": "see LICENSE"},
            {"problem": "404"},
            {"classifiers": ["License :: Public Domain"]},
        ):
            assert (reason(rules("MIT"), **facts) or "").startswith("licence unknown")
            assert reason(rules("MIT", unknown="allow"), **facts) is None
        assert (
            reason(rules("MIT", unknown="allow"), expression="GPL-3.0-only")
            == "licence GPL-3.0-only"
        )
        assert (
            reason(rules("MIT"), problem="its metadata cannot be read")
            == "licence unknown: its metadata cannot be read"
        )

    def test_a_unit_of_which_nothing_was_read_is_unknown_and_one_that_nobody_asks_about_passes(
        self,
    ) -> None:
        assert (
            licence_reason(Unit("python.distribution", "a", {}), rules("MIT")) == "licence unknown"
        )
        assert reason(rules("MIT"), unasked=True) is None

    @pytest.mark.parametrize(
        ("facts", "word"),
        [
            ({"expression": "mit"}, "licence MIT"),
            (
                {"classifiers": ["License :: OSI Approved :: MIT License"]},
                "licence MIT, by classifier",
            ),
            ({"problem": "404"}, "licence unknown: 404; unknown ones may pass"),
            ({"unasked": True}, "licence not asked: another rule decides"),
        ],
    )
    def test_what_passes_says_why(self, facts: dict[str, Any], word: str) -> None:
        found = rules("MIT", unknown="allow")
        assert reason(found, **facts) is None
        assert licence_text(Unit("python.distribution", "a", {"_license": facts}), found) == word


class TestMetadata:
    def test_what_core_metadata_says(self) -> None:
        body = (
            b"Name: a\nLicense-Expression: MIT\nClassifier: Topic :: X\nClassifier: License ::"
            b" Y\nLicense: text\n\nLicense: no\n"
        )
        assert licence_facts(body) == {
            "expression": "MIT",
            "classifiers": ["License :: Y"],
            "text": "text",
        }
        assert licence_facts(body.replace(b"\n", b"\r\n"))["expression"] == "MIT"
        assert licence_facts(b"Metadata-Version: 2.1\nName: a\n\nLicense-Expression: MIT\n") == {}

    def test_two_expressions_are_none(self) -> None:
        assert licence_facts(b"License-Expression: MIT\nLicense-Expression: ISC\n\n") == {
            "problem": "its License-Expression cannot be read"
        }

    def test_endless_headers_are_not_read(self) -> None:
        assert licence_facts(b"X: " + b"a" * (2 << 20)) == {"problem": "its metadata is too long"}

    @given(
        st.binary(max_size=300)
        | st.text(alphabet="License-Expr :\r\n\t\0é=?utf8q_", max_size=200).map(str.encode)
    )
    def test_whatever_upstream_sends_raises_nothing(self, body: bytes) -> None:
        found = reason(rules("MIT"), **licence_facts(body))
        assert found is None or found.isprintable()


class TestOptions:
    def test_a_list_is_short_for_allow(self) -> None:
        assert FilterOptions.model_validate_json(
            '{"licenses": "MIT"}'
        ) == FilterOptions.model_validate_json('{"licenses": ["MIT"]}')
        short = FilterOptions.model_validate_json('{"licenses": ["MIT", "bsd-3-clause"]}')
        assert short == FilterOptions.model_validate_json(
            '{"licenses": {"allow": ["MIT", "bsd-3-clause"]}}'
        )
        assert short.model_dump(mode="json", by_alias=True, exclude_defaults=True) == {
            "licenses": {"allow": ["MIT", "bsd-3-clause"]}
        }

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ('["MIT", "Sesame"]', "`Sesame` is no SPDX licence expression"),
            ('["MIT AND"]', "`MIT AND` is no SPDX licence expression"),
            ("[]", "an empty list allows no licence at all"),
            ("{}", "Field required"),
            ('"Sesame"', "`Sesame` is no SPDX licence expression"),
            ("5", "should be an object"),
            ('{"allow": ["MIT"], "unknown": "maybe"}', "'deny' or 'allow'"),
        ],
    )
    def test_faults(self, value: str, words: str) -> None:
        with pytest.raises(ValidationError) as fault:
            FilterOptions.model_validate_json(f'{{"licenses": {value}}}')
        assert words in str(fault.value)

    def test_a_licence_that_nobody_knows_is_one_fault(self) -> None:
        with pytest.raises(ValidationError) as fault:
            FilterOptions.model_validate({"licenses": ["BSD"]})
        assert [error["msg"].partition(":")[0] for error in fault.value.errors()] == [
            "Value error, `BSD` is no SPDX licence expression"
        ]

    def test_the_schema_knows_both_forms(self) -> None:
        text, short, full = TypeAdapter(LicenceRules).json_schema()["anyOf"]
        assert text == {"type": "string"}
        assert short == {"type": "array", "items": {"type": "string"}, "minItems": 1}
        assert set(full["properties"]) == {"allow", "unknown"}
