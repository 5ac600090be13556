"""Labels out of a store: the last decisions, their weights, and what is left out."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from open_nsfw.calibration.groups import weights_of
from open_nsfw.calibration.label_file import read_label_file
from open_nsfw.calibration.labels import LabelNames
from open_nsfw.calibration.scored import from_entries
from open_nsfw.errors import UsageError
from open_nsfw.review.design import Wishes
from open_nsfw.review.export import FOR_TRAINING, Exported, ExportRequest, export, told
from open_nsfw.review.log import Decision, decide, undo
from open_nsfw.review.store import Store
from tests.tools.review import ANNA, BEN, column, label_next, new_store, rows_of, spread_scores

NO_AUDIT = Wishes(audit_low=0.0, audit_high=0.0, second=0.0)


def exported(store: Store, folder: Path, **options: Any) -> tuple[list[dict[str, str]], Exported]:
    """(the lines, what came of it)"""
    request = ExportRequest(str(folder / "labels.csv"), overwrite=True, **options)
    result = export(store, request)
    with open(request.output, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file)), result


def test_the_last_decisions_are_exported(tmp_path: Path) -> None:
    """Not the ones that were undone or changed; disagreements only when they are settled."""
    with new_store(tmp_path, rows_of([0.3, 0.4, 0.5, 0.6], tmp_path), Wishes(second=1.0)) as store:
        ids = label_next(store, ANNA, "nsfw", 4)
        undo(store, ANNA)
        decide(store, ANNA, Decision(ids[0], "label", "sfw"))
        lines, result = exported(store, tmp_path)
        labels = {line["path"]: line["label"] for line in lines}
        paths = {number: str(column(store, "SELECT path FROM item WHERE id = ?", number)[0]) for number in ids}
        assert labels == {paths[ids[0]]: "sfw", paths[ids[1]]: "nsfw", paths[ids[2]]: "nsfw"}
        assert result.found.open == 1
        decide(store, BEN, Decision(ids[1], "label", "sfw"))
        lines, result = exported(store, tmp_path)
        assert len(lines) == 2 and result.found.disagreements == 1
        decide(store, BEN, Decision(ids[1], "settle", "sfw"))
        lines, _ = exported(store, tmp_path)
        assert {line["path"]: line["label"] for line in lines}[paths[ids[1]]] == "sfw"


def test_weights_are_one_over_the_probability(tmp_path: Path) -> None:
    """When all is decided; as long as it is not, what is decided stands for the rest of its kind."""
    wishes = Wishes(audit_low=0.1, audit_high=0.5, second=0.0)
    with new_store(tmp_path, rows_of(spread_scores(300), tmp_path), wishes) as store:
        asked = column(store, "SELECT count(*) FROM item WHERE asked = 1")[0]
        assert isinstance(asked, int)
        label_next(store, ANNA, "sfw", asked // 2)
        half, result = exported(store, tmp_path)
        assert result.found.open == asked - asked // 2 and result.found.open_undecided > 0
        assert any(line.startswith("warning: ") for line in told(result, ExportRequest("x")))
        label_next(store, ANNA, "sfw", asked - asked // 2)
        lines, result = exported(store, tmp_path)
        assert (result.found.open, result.found.open_undecided) == (0, 0)
        assert [float(line["weight"]) for line in lines] == pytest.approx(
            [1 / float(line["probability"]) for line in lines]
        )
        assert {line["probability"] for line in lines} == {"0.1", "0.5", "1.0"}
        # Either way, they stand for all pictures of each band.
        for each in (half, lines):
            assert sum(float(line["weight"]) for line in each) == pytest.approx(300, rel=0.25)
        assert sum(float(line["weight"]) for line in half) == pytest.approx(
            sum(float(line["weight"]) for line in lines)
        )


def test_calibrate_reads_it(tmp_path: Path) -> None:
    """Scores, weights, models and groups."""
    with new_store(tmp_path, rows_of(spread_scores(300), tmp_path), Wishes(audit_low=0.2, audit_high=0.9)) as store:
        with store.writing() as connection:
            (leader,) = connection.execute("SELECT min(id) FROM item WHERE asked = 1").fetchone()
            connection.execute("UPDATE item SET leader = ? WHERE asked = 1 AND id < 60", (leader,))
        decide(store, ANNA, Decision(leader, "label", "sfw"))
        label_next(store, ANNA, "sfw", 20)
        label_next(store, ANNA, "nsfw", 20)
        exported(store, tmp_path)
        labels = read_label_file(str(tmp_path / "labels.csv"), LabelNames())
        scored = from_entries(labels)
        examples = scored.found.examples()
        assert labels.scored and scored.model == "m" and len({each.nsfw for each in examples}) == 2
        weights = weights_of(examples)
        assert weights is not None and len({*weights.tolist()}) > 1
        assert len([each for each in examples if each.group is not None]) > 1


def test_fine_tune_reads_it(tmp_path: Path) -> None:
    """Paths and labels; what is in an archive or not there any more is left out and counted."""
    with new_store(tmp_path, rows_of([0.3, 0.4, 0.5], tmp_path), NO_AUDIT) as store:
        label_next(store, ANNA, "nsfw", 3)
        gone = column(store, "SELECT path FROM item WHERE id = 1")[0]
        Path(str(gone)).unlink()
        lines, result = exported(store, tmp_path, use=FOR_TRAINING)
        assert [*lines[0]] == ["path", "label", "weight", "group"] and len(lines) == 2 and result.no_file == 1
        labels = read_label_file(str(tmp_path / "labels.csv"), LabelNames())
        assert not labels.scored and all(entry.nsfw for entry in labels.entries)


def test_other_labels_are_left_out_and_counted(tmp_path: Path) -> None:
    """A third label is for people; calibration knows two."""
    with new_store(
        tmp_path, rows_of([0.3, 0.4, 0.5], tmp_path), Wishes(labels=("ok", "bad", "odd"), second=0.0)
    ) as store:
        for label in ("ok", "bad", "odd"):
            label_next(store, ANNA, label)
        lines, result = exported(store, tmp_path, names=LabelNames("bad", "ok"))
        assert [line["label"] for line in lines] == ["ok", "bad"] and result.other_labels == 1


def test_nothing_is_written_over_or_for_nothing(tmp_path: Path) -> None:
    """One line each."""
    with new_store(tmp_path, rows_of([0.3], tmp_path)) as store:
        with pytest.raises(UsageError, match="has no decision to export"):
            exported(store, tmp_path)
        assert not (tmp_path / "labels.csv").exists()
        label_next(store, ANNA, "nsfw")
        (tmp_path / "labels.csv").write_text("mine")
        with pytest.raises(UsageError, match="exists already; --overwrite replaces it"):
            export(store, ExportRequest(str(tmp_path / "labels.csv")))
        assert (tmp_path / "labels.csv").read_text() == "mine"


def test_no_label_to_export_and_why(tmp_path: Path) -> None:
    """Nothing was decided, or in other words than --positive and --negative name, or about files that are gone."""
    with new_store(tmp_path, rows_of([0.5] * 3, tmp_path), Wishes(labels=("ok", "bad"), second=0.0)) as store:
        with pytest.raises(UsageError, match="has no decision to export; `open-nsfw review` is where they are made"):
            exported(store, tmp_path)
        for label in ("ok", "bad"):
            label_next(store, ANNA, label)
        told = "the labels given are bad, ok: say with --positive and --negative which mean nsfw and sfw"
        with pytest.raises(UsageError, match=f"has no decision to export; {told}"):
            exported(store, tmp_path)
        for path in tmp_path.glob("*.jpg"):
            path.unlink()
        with pytest.raises(
            UsageError, match="has no decision to export; the pictures that were decided are inside archives"
        ):
            exported(store, tmp_path, use=FOR_TRAINING, names=LabelNames("bad", "ok"))
