"""The rules of what counts."""

from __future__ import annotations

from open_nsfw.calibration.labelled_set import Example, LabelledSet, identity_of


def test_each_content_counts_once() -> None:
    """The first of them, under its name."""
    found = LabelledSet()
    for score, name, identity in ((0.1, "a", "x"), (0.1, "b", "x"), (0.2, "c", "y"), (0.1, "d", "x"), (0.2, "e", None)):
        found.add(Example(score, False, name), name, identity)
    assert [each.path for each in found.examples()] == ["a", "c", "e"]
    assert found.duplicates == [("b", "a"), ("d", "a")]
    assert found.conflicts == []


def test_content_with_both_labels_counts_not_at_all() -> None:
    """All of its names are told, and none of them is called a duplicate."""
    found = LabelledSet()
    for nsfw, name, identity in ((False, "a", "x"), (True, "b", "x"), (False, "c", "x"), (True, "d", "y")):
        found.add(Example(0.5, nsfw, name), name, identity)
    assert [each.path for each in found.examples()] == ["d"]
    assert found.conflicts == [["a (sfw)", "b (nsfw)", "c (sfw)"]]
    assert found.duplicates == []
    assert [each.path for each in found.examples()] == ["d"]  # asked again, the same
    assert len(found.conflicts) == 1


def test_what_has_no_content_to_compare() -> None:
    """Bare scores all count; a path counts once."""
    assert identity_of(None, None, None) is None
    assert identity_of(None, "a", "b") != identity_of(None, "a", None) != identity_of("a", "a", None)
    assert identity_of("ff", "a", None) == identity_of("ff", "b", "c")


def test_missing_and_unreadable_are_told_apart() -> None:
    """By the code of the row's error."""
    found = LabelledSet()
    found.add_failure("a", "not-found: there is no such file")
    found.add_failure("b", "truncated: it ends too early")
    assert (found.missing, found.unreadable) == (["a"], [("b", "it ends too early")])
