import os
import tracemalloc
from pathlib import Path

import pytest

from models.errors import InvalidCohort
from tests.builders.cohorts import Row, make_picture, write_cohort, write_csv, write_picture
from training.cohort import FlowCount, read_cohort


def test_rows_become_scans_of_their_split_in_file_order(tmp_path):
    write_cohort(
        tmp_path,
        [
            Row("b.png", patient="p1", more={"sex": "f"}),
            Row("c.png", "test", "tumour", "p2", mask="m/c.png"),
            Row("a.png", patient="p3"),
        ],
    )

    cohort = read_cohort(tmp_path)

    assert [scan.name for scan in cohort.scans("train")] == ["b.png", "a.png"]
    row = cohort.scans("test")[0].rows[0]
    assert row.path == tmp_path / "c.png"
    assert row.mask == tmp_path / "m/c.png"
    assert (row.label, row.patient, row.series, row.number) == ("tumour", "p2", None, 3)
    assert cohort.scans("train")[0].rows[0].columns == {"sex": "f"}


@pytest.mark.parametrize("place", ["cohort.csv", "."])
def test_a_cohort_is_read_from_its_file_or_from_its_folder(tmp_path, place):
    write_cohort(tmp_path, [Row("a.png")])

    cohort = read_cohort(tmp_path / place)

    assert cohort.root == tmp_path


def test_rows_of_a_series_become_one_scan_ordered_by_position(tmp_path):
    places = {"s2.png": "0.50", "s10.png": "1e1", "s1.png": "-3", "other.png": ""}
    rows = [
        Row(name, patient="p", series="" if name == "other.png" else "v", more={"position": place})
        for name, place in places.items()
    ]
    write_cohort(tmp_path, rows)

    scans = read_cohort(tmp_path).scans("train")

    assert [scan.name for scan in scans] == ["s2.png", "other.png"]
    assert [row.path.name for row in scans[0].rows] == ["s1.png", "s2.png", "s10.png"]


def test_rows_of_a_series_without_positions_keep_the_order_of_the_file(tmp_path):
    names = ["s2.png", "s10.png", "s1.png"]
    write_cohort(tmp_path, [Row(name, series="v") for name in names])

    scan = read_cohort(tmp_path).scans("train")[0]

    assert [row.path.name for row in scan.rows] == names


def test_slices_of_a_volume_keep_their_own_labels_and_the_volume_is_abnormal(tmp_path):
    labels = ["healthy", "tumour", "healthy", "bleeding"]
    rows = [Row(f"{i}.png", "test", label, "p", series="v") for i, label in enumerate(labels)]
    write_cohort(tmp_path, rows)

    scan = read_cohort(tmp_path).scans("test")[0]

    assert [row.label for row in scan.rows] == labels
    assert not scan.is_healthy
    assert scan.label == "bleeding+tumour"


def test_a_row_or_series_without_patient_is_its_own_patient(tmp_path):
    rows = [Row("a.png"), Row("b.png"), Row("c.png", series="v"), Row("d.png", series="v")]
    write_cohort(tmp_path, rows)

    scans = read_cohort(tmp_path).scans("train")

    assert len({scan.patient for scan in scans}) == 3
    assert {row.patient for row in scans[2].rows} == {scans[2].patient}


def test_folders_give_scans_by_split_and_label_each_its_own_patient(tmp_path):
    for name in ("train/healthy/a.png", "train/healthy/b.png", "test/pneumonia/c.png"):
        write_picture(tmp_path / name, make_picture(1))
    write_picture(tmp_path / "test/healthy/series/1.png", make_picture(2))
    (tmp_path / "train/healthy/.DS_Store").write_bytes(b"")

    cohort = read_cohort(tmp_path)

    assert cohort.flow == (
        FlowCount("train", "healthy", patients=2, scans=2, rows=2),
        FlowCount("test", "healthy", patients=1, scans=1, rows=1),
        FlowCount("test", "pneumonia", patients=1, scans=1, rows=1),
    )
    assert [scan.name for scan in cohort.scans("test")] == [
        "test/healthy/series",
        "test/pneumonia/c.png",
    ]


def test_the_flow_counts_patients_scans_and_rows_of_each_label(tmp_path):
    rows = [Row(f"h{i}.png", patient=f"p{i // 2}") for i in range(4)]
    rows += [Row(f"t{i}.png", "test", "tumour", "q", series="v") for i in range(3)]
    rows += [Row("t3.png", "test", "healthy", "q", series="v")]
    write_cohort(tmp_path, rows)

    assert read_cohort(tmp_path).flow == (
        FlowCount("train", "healthy", patients=2, scans=4, rows=4),
        FlowCount("test", "healthy", patients=1, scans=1, rows=1),
        FlowCount("test", "tumour", patients=1, scans=1, rows=3),
    )


REFUSED = {
    "lead out": [Row("a.png"), Row("../secret.png")],
    "without ..": [Row("a.png"), Row("/etc/hostname")],
    "lead out of": [Row("a.png"), Row("b.png", mask="m/../../secret.png")],
    "split other than": [Row("a.png"), Row("b.png", "validation")],
    "have no label": [Row("a.png"), Row("b.png", "test", "")],
    "have no path": [Row("a.png"), Row("")],
    "write healthy": [Row("a.png"), Row("b.png", "test", "Healthy")],
    "an earlier row names": [Row("a.png"), Row("./a.png")],
    "not healthy": [Row("a.png"), Row("b.png", "train", "tumour")],
    "patient of the other split": [Row("a.png", patient="Q7"), Row("b.png", "test", patient="Q7")],
    "series of another patient": [
        Row("a.png", patient="Q7", series="v"),
        Row("b.png", patient="Q8", series="v"),
    ],
    "another patient": [Row("a.png", patient="Q7", series="v"), Row("b.png", series="v")],
    "starts in the other split": [Row("a.png", series="v"), Row("b.png", "test", series="v")],
    "position must be a number": [
        Row("a.png", series="v", more={"position": "1"}),
        Row("b.png", series="v", more={"position": "top"}),
    ],
    "all rows of a series": [
        Row("a.png", series="v", more={"position": "1"}),
        Row("b.png", series="v", more={"position": ""}),
    ],
    "must be a number, for all": [
        Row("a.png", series="v", more={"position": "1"}),
        Row("b.png", series="v", more={"position": "nan"}),
    ],
}


@pytest.mark.parametrize(("reason", "rows"), REFUSED.items(), ids=REFUSED.keys())
def test_what_breaks_a_rule_is_refused_with_the_number_of_the_row(tmp_path, reason, rows):
    write_cohort(tmp_path, rows)

    with pytest.raises(InvalidCohort, match=reason) as refused:
        read_cohort(tmp_path)

    assert "row 3" in str(refused.value)
    assert "Q7" not in str(refused.value)


@pytest.mark.parametrize("missing", ["a.png", "m.png"])
def test_a_missing_file_is_refused_with_the_number_of_the_row(tmp_path, missing):
    write_cohort(tmp_path, [Row("a.png", "test", "tumour", mask="m.png")])
    (tmp_path / missing).unlink()

    with pytest.raises(InvalidCohort, match=r"row 2 \(a.png\)"):
        read_cohort(tmp_path)


@pytest.mark.parametrize("linked", ["file", "folder"])
def test_a_link_out_of_the_cohort_is_refused_and_one_inside_is_followed(tmp_path, linked):
    outside = write_picture(tmp_path / "outside/a.png", make_picture(1))
    root = tmp_path / "cohort"
    inside = write_picture(root / "kept/a.png", make_picture(2))
    target = outside if linked == "file" else outside.parent
    name = "link.png" if linked == "file" else "link/a.png"
    (root / "good.png").symlink_to(inside)
    (root / name.split("/", maxsplit=1)[0]).symlink_to(target)
    write_csv(root, [Row("good.png"), Row(name)])

    with pytest.raises(InvalidCohort, match=r"1 of 2 rows are links .*row 3"):
        read_cohort(root)


TABLES = {
    "lacks the column patient": b"path,split,label\na.png,train,healthy\n",
    "has no rows": b"path,split,label,patient\n",
    "row 2 has 3 fields, expected 4": b"path,split,label,patient\na.png,train,healthy\n",
    "names a column twice": b"path,split,label,patient,split\n",
    "table in UTF-8": b"path,split,label,patient\n\xff\xfe,train,healthy,\n",
    "comma separated": b'path,split,label,patient\n"a.png,train,healthy,\n',
}


@pytest.mark.parametrize(("reason", "table"), TABLES.items(), ids=TABLES.keys())
def test_a_file_that_is_no_table_is_refused(tmp_path, reason, table):
    (tmp_path / "cohort.csv").write_bytes(table)

    with pytest.raises(InvalidCohort, match=reason):
        read_cohort(tmp_path)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["val/healthy/a.png", "train/healthy/b.png"], "the folder val"),
        (["train/healthy/a.png", "train/tumour/b.png"], "not healthy.*train/tumour/b.png"),
        (["pictures/a.png"], "neither cohort.csv nor"),
        (["train/a.png"], "the file train/a.png, expected a folder"),
    ],
)
def test_folders_that_are_no_cohort_are_refused(tmp_path, names, reason):
    for name in names:
        write_picture(tmp_path / name, make_picture(1))

    with pytest.raises(InvalidCohort, match=reason):
        read_cohort(tmp_path)


def test_a_path_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(InvalidCohort, match="there is no cohort"):
        read_cohort(tmp_path / "nothing")


def test_many_wrong_rows_are_counted_and_the_first_five_named(tmp_path):
    write_cohort(tmp_path, [Row(f"{i}.png", "train", "tumour") for i in range(9)])

    with pytest.raises(InvalidCohort, match=r"9 of 9 rows .*row 6 .*and 4 more"):
        read_cohort(tmp_path)


def test_a_table_written_by_a_spreadsheet_is_read(tmp_path):
    write_picture(tmp_path / "a.png", make_picture(1))
    text = "\ufeffpath, split ,label,patient\r\n a.png ,train,healthy,\r\n"
    (tmp_path / "cohort.csv").write_text(text, encoding="utf-8", newline="")

    scans = read_cohort(tmp_path).scans("train")

    assert [scan.name for scan in scans] == ["a.png"]


def test_slices_and_selections_of_the_scans_keep_their_order(tmp_path):
    write_cohort(tmp_path, [Row(f"{i}.png") for i in range(6)])

    scans = read_cohort(tmp_path).scans("train")

    assert [scan.name for scan in scans[1:5:2]] == ["1.png", "3.png"]
    assert [scan.name for scan in scans.select([4, 0])] == ["4.png", "0.png"]
    assert scans[-1].name == "5.png"


def test_an_unknown_split_is_refused_when_asked_for(tmp_path):
    write_cohort(tmp_path, [Row("a.png")])

    with pytest.raises(InvalidCohort, match="no split validation"):
        read_cohort(tmp_path).scans("validation")


@pytest.mark.slow
def test_a_hundred_thousand_rows_take_less_than_a_hundred_megabytes(tmp_path):
    rows = []
    for i in range(100_000):
        name = f"slices/some_longer_name_of_a_scan_{i:06d}.png"
        rows.append(Row(name, patient=f"patient-{i // 20}", series=f"s{i // 20}"))
    (tmp_path / "slices").mkdir()
    for row in rows:
        (tmp_path / row.path).touch()
    write_csv(tmp_path, rows)
    del rows

    tracemalloc.start()
    cohort = read_cohort(tmp_path)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(cohort) == 5_000
    assert peak_bytes < 100 * 2**20


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "counts"),
    [("chest_xray", [(1340, 1340), (231, 231), (387, 387)]), ("brain_flair", [(57, 616)])],
)
def test_real_cohorts_are_read(name, counts):
    folder = os.environ.get("AEGLE_REAL_DATA")
    if not folder:
        pytest.skip("AEGLE_REAL_DATA is not set")

    flow = read_cohort(Path(folder) / name).flow

    assert [(count.scans, count.rows) for count in flow[: len(counts)]] == counts
