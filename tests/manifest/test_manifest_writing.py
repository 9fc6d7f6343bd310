"""A written manifest is read as the same data, whatever a foreign description holds."""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from reconciler.manifest import manifest_text, take_over_text
from reconciler.plugin import Draft, DraftResource, Remark

TEXTS = st.text(max_size=40)
VALUES: st.SearchStrategy[Any] = st.recursive(
    TEXTS | st.integers() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=12,
)
SPECS = st.dictionaries(TEXTS.filter(bool), VALUES, min_size=1, max_size=3)


@given(SPECS, TEXTS, TEXTS)
def test_values_and_comments_of_any_text_leave_the_data_as_it_is(
    spec: dict[str, Any], text: str, name: str
) -> None:
    comments = dict.fromkeys([f"{key}.0" for key in spec] + list(spec), text)
    resource = DraftResource("Remote", name, spec, text, comments)
    draft = Draft("x", text, [resource, resource], [Remark(text, text, text)], (), [resource])
    wanted = {
        "apiVersion": "reconciler/v1",
        "kind": "Remote",
        "metadata": {"name": name},
        "spec": spec,
    }
    assert list(yaml.safe_load_all(manifest_text(draft))) == [wanted, wanted]
    assert list(yaml.safe_load_all(take_over_text(draft))) == [wanted]


def test_a_remark_is_a_comment_that_names_option_and_place() -> None:
    lost = Remark("[mirror] json", "no such pages", "bandersnatch.conf:3")
    near = Remark("keep", "counted otherwise\nkind: Remote", lost=False)
    text = manifest_text(Draft("x", "A mirror.", [], [near, lost]))
    assert text.splitlines()[1:7] == [
        "# A mirror.",
        "#",
        "# Without an equal here:",
        "# - [mirror] json (bandersnatch.conf:3): no such pages",
        "# Not quite the same here:",
        "# - keep: counted otherwise",
    ]
    assert "\nkind: Remote" not in text
