"""What is told of files that are passed over."""

from models.decoding.listing import MOST_NAMED, describe_passed_over, write_passed_over


def test_only_the_first_files_that_were_passed_over_are_named():
    labels = [f"{number}.txt" for number in range(MOST_NAMED + 3)]

    told, written = describe_passed_over(labels), write_passed_over(labels)

    assert told.startswith(f"{MOST_NAMED + 3} files were passed over")
    assert told.endswith(f"{MOST_NAMED - 1}.txt, and 3 more")
    assert written == {"passed_over": {"count": MOST_NAMED + 3, "paths": labels[:MOST_NAMED]}}
