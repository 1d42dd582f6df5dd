"""From folders and a real OpenSSH server to one table: cache, resumption, order, outputs."""

import json
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anabranch.core.errors import AnabranchError, SetupError, TemporaryError, UsageError
from anabranch.core.here import map_here, on_threads
from anabranch.core.parts import Job, Outcome
from anabranch.photos import sample
from anabranch.photos.join import join
from anabranch.photos.options import PhotoOptions
from anabranch.photos.plan import check, plan
from anabranch.photos.work import work
from anabranch.sftp import hosts
from anabranch.sftp.hosts import no_blocks
from tests import sshd as openssh
from tests.photos.extracting import access, extract, rows


def test_the_table_is_the_same_from_a_server_and_from_the_folder_itself(sshd, album, tmp_path):
    folder, shots = album
    remote = extract(sshd.url(f"{folder}/homes"), tmp_path / "r.csv", tmp_path / "work", **access(sshd))
    local = extract(folder / "homes", tmp_path / "l.csv", tmp_path / "work")

    assert (remote.items["photos"], remote.items["ok"], remote.items["no_gps"]) == (600, 590, 10)
    assert (tmp_path / "r.csv").read_bytes() == (tmp_path / "l.csv").read_bytes()
    assert local.items["read"] == 600
    for row in rows(tmp_path / "r.csv"):
        shot = shots[row["path"].removeprefix(f"{folder}/")]
        assert row["lat"] == "" if shot.lat is None else float(row["lat"]) == pytest.approx(shot.lat, abs=1e-7)
        assert (
            row["alt_msl_m"] == "" if shot.alt is None else float(row["alt_msl_m"]) == pytest.approx(shot.alt, abs=1e-3)
        )


def test_a_second_run_reads_no_photo_and_writes_the_same_table(sshd, album, tmp_path):
    folder, _ = album
    source = sshd.url(f"{folder}/homes")
    first = extract(source, tmp_path / "1.csv", tmp_path / "work", **access(sshd))
    second = extract(source, tmp_path / "2.csv", tmp_path / "work", **access(sshd))

    assert (first.items["read"], second.items["read"], second.items["known"]) == (600, 0, 600)
    assert second.bytes_in == 0 < first.bytes_in
    assert (tmp_path / "1.csv").read_bytes() == (tmp_path / "2.csv").read_bytes()


def test_of_600_photos_and_one_more_one_is_read(sshd, album, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(album[0], folder)
    source = sshd.url(f"{folder}/homes")
    extract(source, tmp_path / "p.csv", tmp_path / "work", **access(sshd))
    (folder / "homes" / "AnnaBerg" / "one_more.jpg").write_bytes(sample.jpeg(sample.tiff(sample.Shot(1.0, 2.0))))
    report = extract(source, tmp_path / "p.csv", tmp_path / "work", **access(sshd))

    assert (report.items["photos"], report.items["read"], report.items["ok"]) == (601, 1, 591)


def test_a_changed_photo_is_read_again_and_a_refreshed_run_reads_all(tmp_path):
    sample.write_photos(tmp_path / "in", 12)
    extract(tmp_path / "in", tmp_path / "p.csv", tmp_path / "work")
    [changed, *_] = sorted((tmp_path / "in").rglob("*.JPG"))
    changed.write_bytes(sample.jpeg(sample.tiff(sample.Shot(-1.0, -2.0))))

    assert extract(tmp_path / "in", tmp_path / "p.csv", tmp_path / "work").items["read"] == 1
    assert rows(tmp_path / "p.csv")[0]["lat"] == "-1"
    assert extract(tmp_path / "in", tmp_path / "p.csv", tmp_path / "work", refresh=True).items["read"] == 12


def test_a_damaged_cache_costs_a_reading_and_nothing_else(tmp_path):
    sample.write_photos(tmp_path / "in", 12)
    extract(tmp_path / "in", tmp_path / "p.csv", tmp_path / "work")
    [known] = (tmp_path / "work" / "photos").glob("*.sqlite")
    known.write_bytes(b"not a database" * 1000)

    assert extract(tmp_path / "in", tmp_path / "p.csv", tmp_path / "work").items["read"] == 12
    assert extract(tmp_path / "in", tmp_path / "p.csv", tmp_path / "work").items["known"] == 12
    assert sqlite3.connect(known).execute("SELECT count(*) FROM known").fetchone() == (12,)


def planned(folder, output, work_dir, **options):
    return plan(Job([str(folder)], str(output), PhotoOptions(**options), work_dir, 4), no_blocks)


@settings(max_examples=12)
@given(st.permutations(range(4)))
def test_any_order_of_arrival_joins_the_same(tmp_path, order):
    if not (tmp_path / "in").exists():
        sample.write_photos(tmp_path / "in", 50, without=2)
    extraction = planned(tmp_path / "in", tmp_path / "p.csv", Path(tempfile.mkdtemp(dir=tmp_path)))
    outcomes = map_here(work, extraction)
    join(extraction, outcomes)
    before = (tmp_path / "p.csv").read_bytes()
    report = join(extraction, [outcomes[index] for index in order])

    assert (tmp_path / "p.csv").read_bytes() == before
    assert rows(tmp_path / "p.csv") == sorted(rows(tmp_path / "p.csv"), key=lambda row: row["path"])
    assert report.items["photos"] == sum(report.items[status] for status in ("ok", "no_gps"))


def test_parts_hold_every_unknown_photo_once(tmp_path):
    sample.write_photos(tmp_path / "in", 700)
    extraction = planned(tmp_path / "in", tmp_path / "p.csv", tmp_path / "work")

    assert [photo for part in extraction.todo for photo in part] == [photo for _, photo in extraction.photos]
    assert len(extraction.parts) == 4
    assert max(part.photos for part in extraction.parts) <= 600


def test_a_cluster_is_asked_for_photos_of_this_machine_and_not_for_those_of_a_server(sshd, album, tmp_path):
    sample.write_photos(tmp_path / "in", 20)
    here = planned(tmp_path / "in", tmp_path / "p.csv", tmp_path / "work")
    there = planned(sshd.url(f"{album[0]}/homes/AnnaBerg"), tmp_path / "p.csv", tmp_path / "work", **access(sshd))

    assert [Path(file.path).stat().st_size for file in here.reads] == [file.size for file in here.reads]
    assert (len(here.reads), len(there.reads)) == (2, 0)


def test_a_part_that_failed_leaves_the_table_that_stands_and_keeps_what_was_read(tmp_path):
    sample.write_photos(tmp_path / "in", 50)
    (tmp_path / "p.csv").write_text("a good table\n")
    extraction = planned(tmp_path / "in", tmp_path / "p.csv", tmp_path / "work")
    *outcomes, last = map_here(work, extraction)
    report = join(extraction, [*outcomes, Outcome(last.part, error=TemporaryError("x", "y", "z"))])

    assert (tmp_path / "p.csv").read_text() == "a good table\n"
    assert (report.outputs, len(report.errors)) == ([], 1)
    assert len(planned(tmp_path / "in", tmp_path / "p.csv", tmp_path / "work").known[0]) == 50 - last.part.photos


def test_a_photo_that_is_lost_on_the_way_is_noticed_before_anything_is_written(tmp_path):
    sample.write_photos(tmp_path / "in", 50)
    extraction = planned(tmp_path / "in", tmp_path / "p.csv", tmp_path / "work")
    outcomes = map_here(work, extraction)
    with pytest.raises(AnabranchError, match="50 photos were listed") as error:
        join(extraction, outcomes[1:])

    assert error.value.code == "accounting"
    assert not (tmp_path / "p.csv").exists()


def test_every_file_is_looked_into_with_all_files_and_what_is_no_photo_has_no_row(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "photo.dat").write_bytes(sample.jpeg(sample.tiff(sample.Shot(1.0, 2.0))))
    (folder / "note.txt").write_text("no photo")
    (folder / "note.jpg").write_text("no photo either")
    named = extract(folder, tmp_path / "p.csv", tmp_path / "work")
    every = extract(folder, tmp_path / "p.csv", tmp_path / "work", all_files=True)

    assert (named.items["photos"], named.items["unreadable"]) == (1, 1)
    assert (every.items["photos"], every.items["ok"], every.items["other_files"]) == (1, 1, 2)


def test_folders_are_listed_down_to_the_depth_and_links_are_not_followed(tmp_path):
    deep = tmp_path / "in" / "1" / "2" / "3"
    deep.mkdir(parents=True)
    for folder in (deep, *list(deep.parents)[:3]):
        (folder / "p.jpg").write_bytes(sample.jpeg(sample.tiff(sample.Shot(1.0, 2.0))))
    (deep / "loop").symlink_to(tmp_path / "in")
    report = extract(tmp_path / "in", tmp_path / "p.csv", tmp_path / "work", depth=2)

    assert report.items["photos"] == 3
    assert "more than 2 folders deep" in report.warnings[0]
    assert extract(tmp_path / "in", tmp_path / "p.csv", tmp_path / "work").items["photos"] == 4


def test_more_photos_than_allowed_end_the_run_before_any_is_read(tmp_path):
    sample.write_photos(tmp_path / "in", 20)
    with pytest.raises(UsageError, match="more than 10 photos"):
        extract(tmp_path / "in", tmp_path / "p.csv", tmp_path / "work", most_photos=10)


def test_geojson_has_a_point_for_each_position_and_all_facts(tmp_path):
    sample.write_photos(tmp_path / "in", 12, without=2)
    extract(tmp_path / "in", tmp_path / "p.geojson", tmp_path / "work")
    features = json.loads((tmp_path / "p.geojson").read_text())["features"]

    assert len(features) == 12
    assert [feature["properties"]["status"] for feature in features if feature["geometry"] is None] == ["no_gps"] * 2
    [first] = [feature for feature in features if feature["properties"]["name"] == "DJI_0001.JPG"]
    assert first["geometry"] == {"type": "Point", "coordinates": [7.66, 47.61, 418]}
    assert first["properties"]["pilot"] == "AnnaBerg"


def test_site_date_and_pilot_come_from_the_path_by_the_pattern(tmp_path):
    sample.write_photos(tmp_path / "in", 1)
    extract(tmp_path / "in", tmp_path / "p.csv", tmp_path / "work")
    [row] = rows(tmp_path / "p.csv")
    assert (row["pilot"], row["site"], row["date"]) == ("AnnaBerg", "20250601", "2025-06-14")

    extract(tmp_path / "in", tmp_path / "p.csv", tmp_path / "work", path_pattern=r"/(?P<site>orbit)/")
    [row] = rows(tmp_path / "p.csv")
    assert (row["pilot"], row["site"]) == ("", "orbit")


@pytest.mark.parametrize(("source", "code"), [
    ("sftp://u:secret@host/x", "password-in-url"), ("sftp:///x", "bad-url"), ("sftp://h:99999/x", "bad-url"),
    ("sftp://h/x?y", "bad-url"), ("https://u:secret@h/x/", "password-in-url"),
    ("https://h/x?key=secret", "password-in-url"),
    ("/no/such/folder", "source-missing"), ("file:///no/such/folder", "source-missing"),
])  # fmt: skip
def test_sources_that_cannot_be_are_refused_and_no_password_is_shown(source, code):
    with pytest.raises(UsageError) as error:
        check([source], None, PhotoOptions())

    assert error.value.code == code
    assert "secret" not in str(error.value)


def test_an_output_of_another_kind_is_refused(tmp_path):
    with pytest.raises(UsageError, match="csv"):
        check([str(tmp_path)], str(tmp_path / "p.xlsx"), PhotoOptions())


SEVERAL = ("p.csv", "p.geojson", "p.gpx", "p.kml", "p.parquet", "geo.txt", "p.summary.json", "p.html")


def test_one_run_writes_several_outputs_with_the_same_bytes_for_any_number_of_workers(tmp_path):
    sample.write_photos(tmp_path / "in", 60, without=2)
    for threads in (1, 4):
        first, *others = (str(tmp_path / str(threads) / name) for name in SEVERAL)
        report = extract(
            tmp_path / "in", first, tmp_path / f"work{threads}", threads=threads, further_outputs=others
        )  # fmt: skip
        assert report.outputs == [first, *others]

    for name in SEVERAL:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "4" / name).read_bytes()
    alone = extract(tmp_path / "in", tmp_path / "p.kml", tmp_path / "work1")
    assert (tmp_path / "p.kml").read_bytes() == (tmp_path / "1" / "p.kml").read_bytes()
    assert alone.items["read"] == 0


def test_an_output_that_cannot_be_written_leaves_all_others_as_they_were(tmp_path):
    sample.write_photos(tmp_path / "in", 12)
    for name in ("p.csv", "p.kml"):
        (tmp_path / name).write_text("as it was")
    (tmp_path / "taken").write_text("no folder")
    others = [str(tmp_path / "p.kml"), str(tmp_path / "taken" / "p.gpx")]
    with pytest.raises(OSError, match="taken"):
        extract(tmp_path / "in", tmp_path / "p.csv", tmp_path / "work", further_outputs=others)

    assert {(tmp_path / name).read_text() for name in ("p.csv", "p.kml")} == {"as it was"}
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.parametrize(("others", "code"), [
    (["q.kml", "p.xlsx"], "output-format"), (["q.kml", "./q.kml"], "same-output"), (["p.csv"], "same-output"),
    (["taken/p.kml"], "output-not-writable"), (["p.html"], "format-missing"),
])  # fmt: skip
def test_each_output_is_checked_before_anything_is_read(tmp_path, monkeypatch, others, code):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "plotly", None)  # as if it were not installed
    (tmp_path / "taken").write_text("no folder")
    with pytest.raises(UsageError) as error:
        check([str(tmp_path)], "p.csv", PhotoOptions(further_outputs=others))

    assert error.value.code == code
    assert code != "format-missing" or error.value.remedy == "pip install 'anabranch[maps]'"


def test_an_unknown_host_key_ends_the_run_with_fingerprint_and_command(sshd, album, tmp_path):
    with pytest.raises(SetupError) as error:
        extract(sshd.url(album[0]), tmp_path / "p.csv", tmp_path / "work", key_file=str(sshd.key))

    assert (error.value.code, error.value.exit_code) == ("host-key-unknown", 1)
    assert sshd.fingerprint in error.value.reason
    assert f"--host-key {sshd.fingerprint}" in error.value.remedy
    assert f"ssh-keyscan -p {sshd.port} 127.0.0.1 >> ~/.ssh/known_hosts" in error.value.remedy


def known_host(server, public):
    folder = Path.home() / ".ssh"
    folder.mkdir(exist_ok=True)
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {' '.join(public.read_text().split()[:2])}\n")


def test_a_host_key_in_known_hosts_is_accepted_and_a_changed_one_ends_the_run(sshd, album, tmp_path):
    folder, _ = album
    source = sshd.url(f"{folder}/homes/AnnaBerg")
    known_host(sshd, sshd.folder / "host_key.pub")
    report = extract(source, tmp_path / "p.csv", tmp_path / "work", key_file=str(sshd.key))
    assert report.items["ok"] == 200

    hosts.close_idle()
    openssh.make_key(tmp_path / "other")
    known_host(sshd, tmp_path / "other.pub")
    with pytest.raises(SetupError, match="Another machine may be in between") as error:
        extract(source, tmp_path / "p.csv", tmp_path / "work", key_file=str(sshd.key))
    assert error.value.code == "host-key-changed"
    with pytest.raises(SetupError, match="not the pinned one"):
        extract(source, tmp_path / "p.csv", tmp_path / "w", key_file=str(sshd.key), host_key="SHA256:" + "A" * 43)


def test_known_hosts_may_have_hashed_names_several_keys_and_lines_of_other_programs(sshd, album, tmp_path):
    from paramiko.hostkeys import HostKeys

    openssh.make_key(tmp_path / "old")
    kind, old = (tmp_path / "old.pub").read_text().split()[:2]
    _, new = (sshd.folder / "host_key.pub").read_text().split()[:2]
    hashed = HostKeys.hash_host(f"[127.0.0.1]:{sshd.port}")
    folder = Path.home() / ".ssh"
    folder.mkdir()
    lines = ["# mine", "@cert-authority * ssh-rsa AAAA", "no sense", f"{hashed} {kind} {old}", f"{hashed} {kind} {new}"]
    (folder / "known_hosts").write_text("\n".join(lines) + "\n")
    source = sshd.url(f"{album[0]}/homes/AnnaBerg")
    assert extract(source, tmp_path / "p.csv", tmp_path / "work", key_file=str(sshd.key)).items["ok"] == 200

    hosts.close_idle()
    (folder / "known_hosts").write_text(f"{hashed} {kind} {new}\n@revoked * {kind} {new}\n")
    with pytest.raises(SetupError, match="revokes"):
        extract(source, tmp_path / "p.csv", tmp_path / "work2", key_file=str(sshd.key))


def test_a_key_in_the_home_folder_logs_in(sshd, album, tmp_path):
    folder = Path.home() / ".ssh"
    folder.mkdir()
    shutil.copy(sshd.key, folder / "id_ed25519")
    report = extract(
        sshd.url(f"{album[0]}/homes/AnnaBerg"), tmp_path / "p.csv", tmp_path / "work", host_key=sshd.fingerprint
    )

    assert report.items["ok"] == 200


def test_nobody_listening_is_an_error_that_may_pass(tmp_path, monkeypatch):
    monkeypatch.setattr(hosts, "BACKOFF", (0.01,))
    with pytest.raises(TemporaryError) as error:
        extract(f"sftp://u@127.0.0.1:{openssh.free_port()}/x", tmp_path / "p.csv", tmp_path / "work")

    assert error.value.code == "sftp-unreachable"


@pytest.mark.skipif(not openssh.SSHD, reason="sshd is not installed; .ci/run installs it")
@pytest.mark.parametrize("kills", [1, 3])
def test_the_table_is_the_same_when_the_servers_process_is_killed_in_the_middle(kills, sshd, album, tmp_path):
    folder, _ = album
    extract(folder / "homes", tmp_path / "l.csv", tmp_path / "local")
    extraction_source, killed, lock = sshd.url(f"{folder}/homes"), [], threading.Lock()

    def killing(step, todo):
        def one(part, stop):
            def watch():
                with lock:
                    if len(killed) < kills and (children := sshd.sessions()):
                        killed.append(children[0])
                        children[0].send_signal(signal.SIGKILL)
                        time.sleep(0.05)
                return stop()

            return step(part, watch)

        return on_threads(2)(one, todo)

    from anabranch.photos.way import way

    job = Job([extraction_source], str(tmp_path / "r.csv"), PhotoOptions(**access(sshd)), tmp_path / "work", 2)
    report = way(job, killing)

    assert len(killed) == kills
    assert (report.items["ok"], report.errors) == (590, [])
    assert (tmp_path / "r.csv").read_bytes() == (tmp_path / "l.csv").read_bytes()


def test_connections_are_kept_between_parts_and_closed_at_the_end(sshd, album, tmp_path):
    folder, _ = album
    before = len(list(Path("/proc/self/fd").iterdir()))
    opened = []
    real = hosts.connect

    def counted(*arguments):
        opened.append(arguments)
        return real(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hosts, "connect", counted)
        extract(sshd.url(f"{folder}/homes"), tmp_path / "p.csv", tmp_path / "work", **access(sshd), connections=2)

    assert len(opened) == 2
    deadline = time.monotonic() + 10
    while len(list(Path("/proc/self/fd").iterdir())) > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
