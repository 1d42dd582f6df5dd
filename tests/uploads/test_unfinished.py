"""What was left unfinished is listed and dropped: of the destination that is named, and only as old as was said."""

import pytest

from anabranch.core.errors import UsageError
from anabranch.uploads.unfinished import abort, seconds, show
from tests.uploads.sending import KIB, Crash, upload


@pytest.fixture(params=["file", "s3", "sftp", pytest.param("az", marks=pytest.mark.soak)])
def left(request, tmp_path):
    """A destination with an unfinished upload of the key deep/source, and how it is named."""
    source = tmp_path / "in" / "deep" / "source"
    source.parent.mkdir(parents=True)
    source.write_bytes(bytes(260 * KIB))
    if request.param == "file":
        place, options = str(tmp_path / "out"), {}
    elif request.param == "sftp":
        account = request.getfixturevalue("sftp")
        place, options = f"{account.url(tmp_path)}/out/", account.options
    elif request.param == "az":
        container = request.getfixturevalue("container")
        place, options = container.url, {"endpoint": container.endpoint}
    else:
        bucket = request.getfixturevalue("bucket")
        place, options = bucket.url, {"endpoint": bucket.server.endpoint}
    with pytest.raises(Crash):
        upload(tmp_path / "in", place, tmp_path / "work", crash_after=3, **options)
    return place, options


def test_unfinished_uploads_are_listed_and_dropped(left):
    place, options = left
    (row,) = show(place, **options)

    assert row["key"].endswith("deep/source")
    assert (row["parts"], row["bytes"]) == (3, 3 * 64 * KIB)
    assert show(place, older_than="1h", **options) == []
    assert abort(place, older_than="1h", **options) == []
    assert [row["dropped"] for row in abort(place, older_than="0s", **options)] == [True]
    assert show(place, **options) == []


@pytest.mark.parametrize(("text", "found"), [("7d", 604_800), ("12h", 43_200), ("30m", 1_800), ("1w", 604_800)])
def test_ages_as_people_write_them(text, found):
    assert seconds(text) == found


@pytest.mark.parametrize("text", ["", "7", "d", "-1d", "1y"])
def test_what_is_no_age_is_refused(text):
    with pytest.raises(UsageError, match="is not an age"):
        seconds(text)
