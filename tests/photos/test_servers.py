"""What servers do wrong: in each case every photo is read, or its reason is named."""

import pytest

from anabranch.core.errors import SetupError
from tests.photos import servers
from tests.photos.extracting import access, extract, rows
from tests.photos.servers import PASSWORD, faulty


@pytest.fixture(autouse=True)
def password(monkeypatch):
    monkeypatch.setenv("SFTP_PASSWORD", PASSWORD)


def run(server, tmp_path, **options):
    options = {"photo_timeout": 2} | access(server) | options
    return extract(server.url("/"), tmp_path / "p.csv", tmp_path / "work", **options)


WHOLE = {
    "no type in the permissions": servers.NoTypeBits,
    "no type anywhere in the listing": servers.NoTypeAtAll,
    "no size in the listing": servers.NoSize,
    "short reads": servers.ShortReads,
    "replies out of order": servers.OutOfOrder,
    "one open file": servers.FewFiles,
    "sixteen open files": servers.SixteenFiles,
    "a connection dropped at any request": servers.Drops,
    "one byte more at the end of a list": servers.EndOfList,
}


@pytest.mark.parametrize("sftp", WHOLE.values(), ids=WHOLE)
@pytest.mark.parametrize("connections", [1, 2])
def test_all_photos_are_read_whatever_the_server_does(sftp, connections, sixty, tmp_path):
    with faulty(sixty, sftp) as server:
        report = run(server, tmp_path, connections=connections)

    assert (report.items["photos"], report.items["ok"], report.errors) == (60, 60, [])


@pytest.mark.parametrize("sftp", [servers.FewFiles, servers.SixteenFiles])
def test_no_more_files_are_open_than_the_server_allows(sftp, sixty, tmp_path):
    with faulty(sixty, sftp) as server:
        run(server, tmp_path, connections=1)

    assert server.counts["most_open"] == sftp.most
    assert server.counts["opens"] < 60 + 260  # the window halves; nothing is asked for again and again


def test_a_second_channel_is_never_asked_for(sixty, tmp_path):
    with faulty(sixty, one_channel=True) as server:
        assert run(server, tmp_path, connections=1).items["ok"] == 60
        assert server.counts["connections"] == 1


def test_connections_closed_before_the_banner_are_tried_again(sixty, tmp_path):
    with faulty(sixty, refused=3) as server:
        assert run(server, tmp_path, connections=1).items["ok"] == 60
        assert server.counts["refused"] == 3


def test_a_server_that_takes_one_connection_only_gets_one(sixty, tmp_path, monkeypatch):
    monkeypatch.setattr("anabranch.sftp.hosts.BACKOFF", (0.01, 0.02))
    with faulty(sixty, most=1) as server:
        report = run(server, tmp_path, connections=3)

    assert (report.items["ok"], report.errors) == (60, [])
    assert report.parts.total == 3


def test_only_photos_without_a_reply_are_asked_for_again_after_a_drop(sixty, tmp_path):
    with faulty(sixty, servers.Drops) as server:
        run(server, tmp_path, connections=1)

    assert server.counts["reads"] < 60 + 40


def test_a_file_that_alone_is_refused_is_unreadable_and_the_rest_is_read_at_once(sixty, tmp_path):
    with faulty(sixty, servers.ForbiddenFile) as server:
        report = run(server, tmp_path, connections=1)

    assert (report.items["ok"], report.items["unreadable"]) == (59, 1)
    [bad] = [row for row in rows(tmp_path / "p.csv") if row["status"] == "unreadable"]
    assert "Permission denied" in bad["reason"]
    assert server.counts["most_open"] > 20


def test_a_photo_without_a_reply_is_a_timeout_and_the_rest_is_read(sixty, tmp_path):
    with faulty(sixty, servers.NoReply) as server:
        report = run(server, tmp_path, connections=1)
        again = run(server, tmp_path, connections=1)

    assert (report.items["ok"], report.items["timeout"]) == (59, 1)
    assert (again.items["known"], again.items["timeout"]) == (59, 1)


def test_files_that_change_after_the_listing_are_read_as_they_are(sixty, tmp_path):
    with faulty(sixty, servers.Vanishes) as server:
        report = run(server, tmp_path, connections=1)

    assert (report.items["photos"], report.items["vanished"]) == (60, 1)
    assert report.items["ok"] >= 58


def test_names_that_are_not_utf_8_or_have_line_feeds_are_one_escaped_row_each(sixty, tmp_path):
    with faulty(sixty, servers.OddNames) as server:
        report = run(server, tmp_path)

    assert report.items["ok"] == 60
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 61
    assert rows(tmp_path / "p.csv")[0]["name"] == "line\\nDJI_0000\\xe9.JPG"


def test_a_listing_of_a_later_version_is_refused_by_name_and_never_misread(sixty, tmp_path):
    from anabranch.core.errors import SourceError

    with faulty(sixty, servers.LaterVersion) as server, pytest.raises(SourceError, match="version 3") as error:
        run(server, tmp_path)

    assert error.value.code == "listing-unreadable"


def test_a_server_that_speaks_another_version_is_refused(sixty, tmp_path):
    with faulty(sixty, servers.NewerServer) as server, pytest.raises(SetupError, match="version 6"):
        run(server, tmp_path)


def test_text_before_the_protocol_is_shown_with_the_files_that_print_it(sixty, tmp_path):
    with (
        faulty(sixty, servers.Talks) as server,
        pytest.raises(SetupError, match="Welcome to the photo server!") as error,
    ):
        run(server, tmp_path)

    assert (error.value.code, error.value.exit_code) == ("sftp-text", 1)
    assert "~/.bashrc" in error.value.remedy


def test_a_name_that_leads_elsewhere_is_left_out_with_a_warning(sixty, tmp_path):
    with faulty(sixty, servers.Slashes) as server:
        report = run(server, tmp_path)

    assert report.items["photos"] == 59
    assert "slash" in report.warnings[0]


def test_a_folder_that_cannot_be_listed_is_an_error_of_its_own(sixty, tmp_path):
    class Closed(servers.Sftp):
        def answer(self, kind, number, subject, tail):
            if kind == servers.OPENDIR and subject.endswith(b"closed"):
                self.status(number, servers.PERMISSION_DENIED, b"Permission denied")
            else:
                super().answer(kind, number, subject, tail)

    (sixty / "closed").mkdir()
    with faulty(sixty, Closed) as server:
        report = run(server, tmp_path)

    assert (report.items["ok"], [error.code for error in report.errors]) == (60, ["folder-unreadable"])
    assert report.errors[0].part.endswith("/closed")


def test_as_many_folders_are_open_as_the_server_allows_and_one_that_is_closed_costs_no_other(sixty, tmp_path):
    class FewFolders(servers.Sftp):
        def answer(self, kind, number, subject, tail):
            if kind == servers.OPENDIR:
                self.counts["asked"] += 1
                open_ones = sum(isinstance(handle, tuple) for handle in self.handles.values())
                if open_ones >= 16 or subject.endswith(b"closed"):
                    self.status(number, servers.FAILURE, b"no more")
                    return
                self.counts["most"] = max(self.counts["most"], open_ones + 1)
            super().answer(kind, number, subject, tail)

    for number in range(200):
        (sixty / f"{number:03}").mkdir()
    (sixty / "100" / "one.jpg").write_bytes(next(sixty.rglob("*.JPG")).read_bytes())
    (sixty / "050closed").mkdir()
    with faulty(sixty, FewFolders) as server:
        report = run(server, tmp_path, connections=1)

    assert (report.items["ok"], [error.code for error in report.errors]) == (61, ["folder-unreadable"])
    assert server.counts["most"] > 4
    assert server.counts["asked"] < 203 + 300  # the window halves; nothing is asked for again and again


def test_links_are_not_followed(sixty, tmp_path):
    (sixty / "loop").symlink_to(sixty / "d")
    (sixty / "again.JPG").symlink_to(sixty / "d" / "DJI_0000.JPG")
    with faulty(sixty) as server:
        assert run(server, tmp_path).items["photos"] == 60


def test_a_wrong_password_is_refused_with_what_was_tried(sixty, tmp_path, monkeypatch):
    monkeypatch.setenv("SFTP_PASSWORD", "not it")
    with faulty(sixty) as server, pytest.raises(SetupError, match=r"tried: \$SFTP_PASSWORD") as error:
        run(server, tmp_path)

    assert error.value.code == "login-refused"
    assert "not it" not in str(error.value)
