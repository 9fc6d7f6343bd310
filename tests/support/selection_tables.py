"""Tables of docs/reference/selection.md, made with the decisions of the selection on some files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from reconciler.plugin import Options, Unit
from reconciler_python.options.filter_options import FilterOptions
from reconciler_python.options.source_options import SelectionOptions
from tests.support.selecting import decide, house_rules, unit

LINUX = "-cp311-cp311-manylinux_2_28_x86_64.whl"
ABI3 = "-cp38-abi3-manylinux_2_28_x86_64.whl"
WINDOWS = "-cp310-cp310-win_amd64.whl"
OLD, YOUNG = "2025-01-01T00:00:00Z", "2026-11-20T00:00:00Z"
ADVISORY = {
    "id": "MAL-2026-1",
    "modified": OLD,
    "affected": [{"package": {"ecosystem": "PyPI", "name": "demo"}, "versions": ["1.0"]}],
}


def demo(version: str = "1.0", ending: str = "", **facts: Any) -> Unit:
    """A file of the project `demo`: a wheel, unless the ending is of something else."""
    package_type = {"": "wheel", ".tar.gz": "sdist", "-py3.11.egg": "egg"}.get(ending, "wheel")
    return unit(version, ending, package_type=package_type, name="demo", **facts)


class Example(NamedTuple):
    """A key of a filter: `value` as in a manifest, and facts or a filename's ending that it lets
    in, refuses, and cannot judge.
    """

    key: str
    value: Any
    fits: Mapping[str, Any]
    misfits: Mapping[str, Any]
    unknown: Mapping[str, Any] | None = None
    beside: Mapping[str, Any] = {}


EXAMPLES: Sequence[Example] = [
    Example("deny", ["demo<2"], {"version": "2.0"}, {}, {"version": "odd"}),
    Example("allow", ["demo>=2"], {"version": "2.0"}, {}, {"version": "odd"}),
    Example("packageTypes", ["wheel"], {}, {"ending": "-py3.11.egg"}),
    Example(
        "platforms", ["linux_x86_64"], {"ending": LINUX}, {"ending": WINDOWS}, {"ending": ".whl"}
    ),
    Example("pythons", ["3.11"], {"ending": ABI3}, {"ending": WINDOWS}, {"ending": ".whl"}),
    Example("pythons", ["cp311"], {"ending": LINUX}, {"ending": WINDOWS}, {"ending": ".whl"}),
    Example(
        "targets",
        [{"python": "3.11", "platform": "linux_x86_64"}],
        {"ending": LINUX},
        {"ending": WINDOWS},
        {"ending": ".whl"},
    ),
    Example("abis", ["cp311"], {"ending": LINUX}, {"ending": WINDOWS}, {"ending": ".whl"}),
    Example(
        "requiresPython",
        ["3.11"],
        {"requiresPython": ">=3.8"},
        {"requiresPython": ">=3.12"},
        {"requiresPython": ">=3.12.*"},
    ),
    Example("prereleases", "deny", {}, {"version": "1.0rc1"}, {"version": "odd"}),
    Example(
        "devReleases", "deny", {"version": "1.0rc1"}, {"version": "1.0.dev1"}, {"version": "odd"}
    ),
    Example("yanked", "drop", {}, {"yanked": "broken"}),
    Example("maxSize", "1MiB", {"size": 1000}, {"size": 2**21}, {"size": None}),
    Example(
        "licenses",
        ["MIT"],
        {"_license": {"expression": "MIT"}},
        {"_license": {"expression": "GPL-3.0-only"}},
        {},
    ),
    Example(
        "attestations",
        {"publishers": [{"kind": "GitHub", "repository": "demo/demo"}]},
        {"_attestation": {"publishers": [{"kind": "GitHub", "repository": "demo/demo"}]}},
        {"_attestation": {"publishers": [{"kind": "GitHub", "repository": "evil/demo"}]}},
        {},
    ),
    Example("osv", {}, {"version": "2.0"}, {}, {"version": "odd"}),
    Example("minAge", "7d", {"uploadTime": OLD}, {"uploadTime": YOUNG}, {"uploadTime": "soon"}),
    Example(
        "minAgeExempt",
        ["demo"],
        {"uploadTime": YOUNG},
        {"uploadTime": YOUNG},
        None,
        {"minAge": "7d"},
    ),
    Example(
        "uploadedBefore",
        "2026-07-01T00:00:00Z",
        {"uploadTime": OLD},
        {"uploadTime": YOUNG},
        {"uploadTime": "soon"},
    ),
    Example("latest", 1, {"version": "2.0"}, {}, {"version": "odd"}),
]


def tables() -> dict[str, str]:
    """Name -> Markdown."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "MAL-2026-1.json").write_text(json.dumps(ADVISORY), encoding="utf-8")
        return {
            "source keys": _meanings(SelectionOptions, {}),
            "filter keys": _meanings(
                FilterOptions,
                {example.key: example.value for example in EXAMPLES if example.key != "osv"}
                | {"osv": "osv.zip"},
            ),
            "answers": _answers(folder),
            "order": _order(folder),
            "source": _source(),
            "allow and deny": _allow_and_deny(),
            "several filters": _several(),
            "prereleases": _prereleases(),
            "specifiers": _specifiers(),
            "odd versions": _odd_versions(),
            "latest": _latest(),
        }


def _meanings(model: type[Options], examples: Mapping[str, Any]) -> str:
    rows = []
    for name, field in model.model_fields.items():
        key = field.alias or name
        example = f"`{_yaml(key, examples[key])}`" if key in examples else ""
        rows.append(
            [f"`{key}`", field.description or "", example]
            if examples
            else [f"`{key}`", field.description or ""]
        )
    return _table(["key", "meaning", *(["for example"] if examples else [])], rows)


def _answers(folder: str) -> str:
    """What each key says of a wheel that it means and one that it does not, of other package types,
    and of what it cannot tell.
    """
    rows = []
    for example in EXAMPLES:
        keys = {
            **example.beside,
            example.key: {"path": folder} if example.key == "osv" else example.value,
        }
        beside = [demo("2.0")] if example.key == "latest" else []
        ask = _asking(keys, beside)
        other = {**example.misfits, "ending": ".tar.gz"}
        egg = {**example.misfits, "ending": "-py3.11.egg"}
        unknown = "" if example.unknown is None else ask(example.unknown)
        key = "osv: osv.zip" if example.key == "osv" else _yaml(example.key, example.value)
        rows.append(
            [
                f"`{key}`",
                ask(example.fits),
                ask(example.misfits),
                ask(other),
                ask(egg),
                unknown,
            ]
        )
    return _table(
        [
            "key",
            "a file that it means to keep",
            "one that it does not",
            "the same as an sdist",
            "as an egg",
            "where that cannot be told",
        ],
        rows,
    )


def _asking(keys: Mapping[str, Any], beside: Sequence[Unit]) -> Callable[[Mapping[str, Any]], str]:
    def ask(facts: Mapping[str, Any]) -> str:
        made = demo(**facts)
        answers = decide(
            [made, *(one for one in beside if one.key != made.key)], house_rules("f", **keys)
        )
        return _answer(answers[0].reason)

    return ask


def _order(folder: str) -> str:
    """Which key gives the reason where several refuse: that one is taken away, and the next one
    speaks.
    """
    worst = demo(
        "1.0rc1.dev1",
        "-cp310-cp310-win_amd64.whl",
        yanked="broken",
        requiresPython=">=3.12",
        uploadTime=YOUNG,
        size=2**21,
    )
    final = demo(
        "0.9", LINUX, uploadTime=OLD, size=1, _license={"expression": "MIT"}, requiresPython=">=3.8"
    )
    source: dict[str, Any] = {"exclude": ["demo"], "include": ["other"]}
    values: dict[str, Any] = {
        example.key: example.value
        for example in EXAMPLES
        if example.key not in ("minAgeExempt", "allow", "packageTypes", "latest")
    }
    record = {
        **ADVISORY,
        "affected": [
            {"package": {"ecosystem": "PyPI", "name": "demo"}, "versions": ["1.0rc1.dev1"]}
        ],
    }
    (Path(folder) / "MAL-2026-2.json").write_text(
        json.dumps({**record, "id": "MAL-2026-2"}), encoding="utf-8"
    )
    values |= {
        "deny": ["demo==1.0rc1.dev1"],
        "allow": ["demo<1"],
        "packageTypes": ["sdist"],
        "osv": {"path": folder},
        "attestations": "required",
    }
    spoken = []
    while True:
        [answer, *_] = decide([worst], house_rules("f", **values), **source)
        if answer.accepted:
            break
        key = _key(answer.reason, source)
        spoken.append([f"`{key}`", answer.reason])
        (source if key in source else values).pop(key)
    for key, value in (("prereleases", "if-nothing-else"), ("latest", 1)):
        [_, answer] = decide(
            [final, worst] if key == "prereleases" else [demo("2.0"), demo()],
            house_rules("f", **{key: value}),
        )
        spoken.append([f"`{_yaml(key, value)}`", answer.reason])
    return _table(
        ["", "key", "its words"], [[str(number), *row] for number, row in enumerate(spoken, 1)]
    )


def _key(reason: str, source: Mapping[str, Any]) -> str:
    if "(f." in reason:
        return reason.rpartition("(f.")[2].rstrip(")").partition(" ")[0]
    return "exclude" if reason.startswith("excluded") else "include"


def _source() -> str:
    """A file `demo 1.0`, and each key either silent about it, or meaning it, or meaning something
    else only.
    """
    rows = []
    for include, files, pulled, exclude in product(
        ["-", "yes", "no"], ["-", "yes", "no"], ["-", "yes"], ["-", "yes"]
    ):
        keys: dict[str, Any] = {}
        if include != "-":
            keys["include"] = ["demo" if include == "yes" else "other"]
        if files != "-":
            keys["files"] = [{"name": "demo" if files == "yes" else "other"}]
        if exclude != "-":
            keys["exclude"] = ["demo==1.0"]
        facts: dict[str, Any] = {"_pulledBy": ["other 1.0"]} if pulled == "yes" else {}
        [answer] = decide([demo(**facts)], **keys)
        rows.append([include, files, pulled, exclude, _answer(answer.reason)])
    return _table(
        [
            "`include` means it",
            "`files` or `requirements` mean it",
            "something depends on it",
            "`exclude` means it",
            "answer",
        ],
        rows,
    )


def _allow_and_deny() -> str:
    rows = []
    for allow, deny in product(["-", "yes", "no"], ["-", "yes", "no"]):
        keys = {
            key: ["demo" if word == "yes" else "other"]
            for key, word in (("allow", allow), ("deny", deny))
            if word != "-"
        }
        rows.append([allow, deny, _answer(decide([demo()], house_rules("f", **keys))[0].reason)])
    return _table(["`allow` means it", "`deny` means it", "answer"], rows)


def _several() -> str:
    """One key in two filters, and a file on which they do not agree."""
    wheel, young, early = demo(), demo(uploadTime=YOUNG), demo("1.0rc1")
    cases: list[tuple[Mapping[str, Any], Mapping[str, Any], Sequence[Unit]]] = [
        ({"allow": ["demo"]}, {"allow": ["other"]}, [wheel]),
        ({"allow": ["demo"]}, {"deny": ["demo"]}, [wheel]),
        ({"packageTypes": ["wheel"]}, {"packageTypes": ["sdist"]}, [wheel]),
        ({"platforms": ["any"]}, {"platforms": ["linux"]}, [wheel]),
        ({"prereleases": "allow"}, {"prereleases": "deny"}, [early]),
        ({"prereleases": "allow"}, {"prereleases": "if-nothing-else"}, [early, wheel]),
        ({"yanked": "keep"}, {"yanked": "drop"}, [demo(yanked="broken")]),
        ({"minAge": "3d"}, {"minAge": "7d"}, [young]),
        ({"minAge": "3d", "minAgeExempt": ["demo"]}, {"minAge": "7d"}, [young]),
        ({"minAge": "3d"}, {"minAge": "7d", "minAgeExempt": ["demo"]}, [young]),
        ({"latest": 2}, {"latest": 1}, [wheel, demo("2.0")]),
    ]
    rows = []
    for one, other, units in cases:
        [answer, *_] = decide(units, house_rules("f", **one), house_rules("g", **other))
        rows.append(
            [
                *(
                    "<br>".join(f"`{_yaml(*item)}`" for item in keys.items())
                    for keys in (one, other)
                ),
                _answer(answer.reason),
            ]
        )
    return _table(["filter `f`", "filter `g`", "answer"], rows)


def _prereleases() -> str:
    """Tabulate which of some releases are selected, by `include` and the rule on pre-releases."""
    rows = []
    for include, word in product(
        [None, ["demo"], ["demo>=1"], ["demo>1.0"], ["demo>=2a1"]],
        [None, "allow", "deny", "if-nothing-else"],
    ):
        keys: dict[str, Any] = {"include": include} if include else {}
        units = [demo("1.0"), demo("2.0rc1")]
        kept = [
            answer.unit.metadata["version"]
            for answer in decide(
                units, house_rules(**({"prereleases": word} if word else {})), **keys
            )
            if answer.accepted
        ]
        rows.append(
            [
                f"`{_yaml('include', include)}`" if include else "none",
                f"`{word}`" if word else "not written",
                ", ".join(kept) or "nothing",
            ]
        )
    return _table(["`include`", "`prereleases`", "of 1.0 and 2.0rc1 comes in"], rows)


def _specifiers() -> str:
    versions = ["1.0", "1.5.dev1", "2.0rc1", "2.0", "2.0.post1", "2.0+local"]
    rows = []
    for rule in (
        "demo",
        "de*",
        "demo==2.0",
        "demo<2",
        "demo<=2.0",
        "demo>=2.0rc1",
        "demo~=1.0",
        "demo!=2.0",
    ):
        meant = [
            answer.unit.metadata["version"]
            for answer in decide([demo(version) for version in versions], include=[rule])
            if answer.accepted
        ]
        left_out = [
            answer.unit.metadata["version"]
            for answer in decide([demo(version) for version in versions], exclude=[rule])
            if not answer.accepted
        ]
        rows.append([f"`{rule}`", ", ".join(meant) or "none", ", ".join(left_out) or "none"])
    return _table(["rule", "in `include`, `allow` it means", "in `exclude`, `deny` it means"], rows)


def _odd_versions() -> str:
    odd = demo("2004d_final", ".tar.gz")
    rows = []
    for key, value in (
        ("deny", ["demo"]),
        ("deny", ["de*"]),
        ("deny", [odd.key]),
        ("deny", ["demo<9999"]),
        ("allow", ["demo>=0"]),
        ("prereleases", "deny"),
        ("latest", 1),
    ):
        [answer, *_] = decide([odd, demo("0.1a1")], house_rules("f", **{key: value}))
        rows.append([f"`{_yaml(key, value)}`", _answer(answer.reason)])
    return _table([f"key, and the file `{odd.key}`", "answer"], rows)


def _latest() -> str:
    """The order in which `latest` takes releases: the count grows, and one more comes in."""
    units = [
        demo("odd"),
        demo("1.0"),
        demo("2.0", yanked="broken"),
        demo("2.1a1"),
        demo("2.2.dev1", yanked="broken"),
        demo("1.1"),
    ]
    seen: list[str] = []
    for count in range(1, len(units) + 1):
        kept = [
            answer.unit
            for answer in decide(units, house_rules("f", latest=count))
            if answer.accepted
        ]
        seen += [_described(one) for one in kept if _described(one) not in seen]
    return "\n".join(f"{number}. {text}" for number, text in enumerate(seen, 1))


def _described(one: Unit) -> str:
    return f"{one.metadata['version']}{', yanked' if one.metadata.get('yanked') else ''}"


def _answer(reason: str) -> str:
    return f"out: {reason}" if reason else "in"


def _yaml(key: str, value: Any) -> str:
    """As a line of a manifest: JSON is YAML, and quotes only stand where they must."""
    return f"{key}: {_flow(value)}"


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str):
        return (
            value if value[:1].isalpha() and not set(value) & set(",:{}[]#*") else json.dumps(value)
        )
    return json.dumps(value)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )
