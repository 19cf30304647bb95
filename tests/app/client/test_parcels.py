import zipfile

from app.client.parcels import find_parcels, list_files
from app.client.upload import stream_zip
from tests.builders.pictures import build_zip, encode_picture
from tests.builders.scans import write_dicom_series


def find(*paths):
    return [parcel.files for parcel in find_parcels(list_files(paths))]


def test_a_series_is_one_parcel_and_pictures_and_zips_are_one_each(tmp_path, planes):
    series = write_dicom_series(tmp_path / "series", planes)
    (tmp_path / "a.png").write_bytes(encode_picture(planes[0], "png"))
    (tmp_path / "b.zip").write_bytes(build_zip({"c.png": b"x", "d.png": b"y"}))

    parcels = find(tmp_path)

    assert parcels == [
        (tmp_path / "a.png",),
        (tmp_path / "b.zip",),
        tuple(sorted(series.iterdir())),
    ]


def test_slices_given_one_by_one_are_one_series(tmp_path, planes):
    files = sorted(write_dicom_series(tmp_path / "series", planes).iterdir())

    assert find(*files) == [tuple(files)]


def test_side_files_of_a_folder_are_passed_over_and_files_given_twice_sent_once(tmp_path):
    (tmp_path / "readme.txt").write_text("text")
    (tmp_path / ".hidden").write_bytes(b"\0")
    (tmp_path / "scan").write_bytes(b"\0\1\2")

    assert find(tmp_path, tmp_path / "scan") == [(tmp_path / "scan",)]


def test_what_is_passed_over_is_told(tmp_path):
    for name in (".hidden", "readme.txt"):
        (tmp_path / name).write_text("text")
    passed_over = []

    list_files([tmp_path], passed_over)

    assert passed_over == [tmp_path / ".hidden", tmp_path / "readme.txt"]


def test_what_is_named_stays_in_the_list_whatever_it_is(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("text")
    named = [tmp_path / "empty", tmp_path / "notes.txt", tmp_path / "nowhere.dcm"]

    assert find(*named) == [(path,) for path in named]


def test_a_streamed_zip_is_whole_and_always_the_same(tmp_path):
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "same.dcm").write_bytes(place.encode() * 300_000)
    files = [tmp_path / "one" / "same.dcm", tmp_path / "two" / "same.dcm"]

    pieces = list(stream_zip(files))

    (tmp_path / "zip").write_bytes(b"".join(pieces))
    with zipfile.ZipFile(tmp_path / "zip") as archive:
        assert archive.testzip() is None
        assert [archive.read(name) for name in archive.namelist()] == [
            path.read_bytes() for path in files
        ]
    assert b"".join(stream_zip(files)) == b"".join(pieces)
    assert max(map(len, pieces)) < 300_000
