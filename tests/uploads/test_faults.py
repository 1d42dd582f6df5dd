"""Every fault of a destination: the object is right in the end, or the former one, and the error says why."""

import random
import re
import time

import pytest

from anabranch.core.errors import AnabranchError
from anabranch.uploads import retrying
from tests.uploads.faulty import CUT, LOSE, PASS, Faulty, error
from tests.uploads.sending import KIB, upload

SIZE, PARTS = 260 * KIB, 5
SKEWED = ("RequestTimeTooSkewed", "403 Forbidden")


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    """Wait as the product does, a thousandth as long."""
    monkeypatch.setattr(retrying, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(retrying, "LONGEST_WAIT", 0.01)


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.write_bytes(random.Random(1).randbytes(SIZE))
    return path


def first(kind, answer, *, times=1, number=None):
    """Answer the first requests of a kind so."""
    left = [times]

    def rule(request):
        if request.kind == kind and left[0] and number in (None, request.number):
            left[0] -= 1
            return answer
        return PASS

    return rule


def every_third(answer):
    return lambda request: answer if request.kind == "part" and request.count % 3 == 0 else PASS


def gone_after_lost_completion():
    lost = []

    def rule(request):
        if request.kind != "complete":
            return PASS
        if lost:
            return error("NoSuchUpload", "404 Not Found")
        lost.append(request)
        return LOSE

    return rule


def wrong_tag(answer):
    return re.sub(rb'(?i)(\r\netag: *"?)[0-9a-f]{4}', rb"\g<1>0000", answer)


def flipped(body):
    return bytes([body[0] ^ 1]) + body[1:]


PASSING = {  # the rule, and how many requests of which kind there are in the end
    "complete answered 200 with an error": (first("complete", error("InternalError", "200 OK")), {"complete": 2}),
    "the answer of complete is lost": (first("complete", LOSE), {"complete": 2}),
    "lost, and then the upload is gone": (gone_after_lost_completion(), {"complete": 2, "create": 1}),
    "every third part 500": (every_third(error("InternalError", "500 Server Error")), {}),
    "every third part 503, at once": (every_third(error("SlowDown", "503 Slow Down", "Retry-After: 0")), {}),
    "every third part reset": (every_third(CUT), {}),
    "the answer of a part is lost": (first("part", LOSE), {"part": PARTS + 1}),
    "429": (first("part", error("TooManyRequests", "429 Too Many"), times=3), {"part": PARTS + 3}),
    "the upload is gone once": (first("part", error("NoSuchUpload", "404 Not Found"), number=3), {"create": 2}),
    "a part is corrupted on the way twice": (first("part", ("body", flipped), times=2), {"part": PARTS + 2}),
    "the tag of a part is wrong once": (first("part", ("answer", wrong_tag)), {"part": PARTS + 1}),
    "the clocks differ twice": (first("part", error(*SKEWED, at=1e9), times=2), {"part": PARTS + 2}),
    "create fails": (first("create", error("InternalError", "500 Server Error")), {"create": 2}),
    "HEAD fails": (first("head", CUT, times=2), {"create": 1}),
    "two faults at once": (
        lambda request: (
            {4: error("SlowDown", "503 Slow Down"), 6: CUT}.get(request.count % 7, PASS)
            if request.kind in ("part", "complete")
            else PASS
        ),
        {},
    ),
}


QUICK = {
    "complete answered 200 with an error", "lost, and then the upload is gone", "the upload is gone once",
    "every third part reset", "a part is corrupted on the way twice", "two faults at once",
    "the tag of a part is always wrong", "the store is full", "the clocks stay different",
}  # fmt: skip


def cases(faults):
    """One of each kind in the suite, all in the soak."""
    return [pytest.param(name, marks=[] if name in QUICK else [pytest.mark.soak]) for name in faults]


@pytest.mark.parametrize("fault", cases(PASSING))
def test_what_passes_ends_in_the_right_object(bucket, source, tmp_path, fault):
    rule, counts = PASSING[fault]
    with Faulty(bucket.server.port, rule) as proxy:
        report = upload(source, f"{bucket.url}/", tmp_path / "work", endpoint=proxy.endpoint, parts_in_flight=3)

    assert report.errors == []
    assert report.items["sent"] == 1
    assert bucket.read("source") == source.read_bytes()
    assert {kind: proxy.seen[kind] for kind in counts} == counts
    assert bucket.unfinished() == []


@pytest.mark.parametrize(
    "headers",
    [
        "NotImplemented 501",
        *(pytest.param(one, marks=pytest.mark.soak) for one in ("InvalidArgument 400", "MissingContentLength 411")),
    ],
)
def test_a_server_that_does_not_know_crc64_gets_md5_and_the_run_says_so(bucket, source, tmp_path, headers):
    code, status = headers.split()
    rule = first("create", error(code, f"{status} No"))
    with Faulty(bucket.server.port, rule) as proxy:
        report = upload(source, f"{bucket.url}/", tmp_path / "work", endpoint=proxy.endpoint)

    assert bucket.read("source") == source.read_bytes()
    assert proxy.seen["create"] == 2
    assert report.notes == ["The server does not know CRC64NVME: parts are verified by their MD5."]


FAILING = {  # the rule, and the error's code
    "the tag of a part is always wrong": (
        lambda request: ("answer", wrong_tag) if request.number == 2 else PASS, "upload-damaged",
    ),
    "a part is corrupted each time": (
        lambda request: ("body", flipped) if request.number == 2 else PASS, "upload-damaged",
    ),
    "the store is full": (first("part", error("InsufficientStorage", "507 Full"), times=99), "destination-full"),
    "the quota is used up": (first("part", error("QuotaExceeded", "403 No"), times=99), "destination-full"),
    "no right to write": (first("part", error("AccessDenied", "403 No"), times=99), "destination-refused"),
    "the clocks stay different": (first("part", error(*SKEWED, at=1e9), times=99), "clock-skew"),
    "the upload is always gone": (first("part", error("NoSuchUpload", "404 No"), times=999), "upload-gone"),
}  # fmt: skip


@pytest.mark.parametrize("fault", cases(FAILING))
def test_what_does_not_pass_leaves_the_former_object_and_says_why(bucket, source, tmp_path, fault):
    rule, code = FAILING[fault]
    bucket.client.put_object(Bucket=bucket.name, Key="source", Body=b"former")

    with Faulty(bucket.server.port, rule) as proxy:
        ended = ending(lambda: upload(source, f"{bucket.url}/", tmp_path / "work", endpoint=proxy.endpoint))

    assert ended.code == code
    assert bucket.read("source") == b"former"
    assert code != "clock-skew" or "09 Sep 2001" in ended.reason
    assert code == "upload-gone" or max(proxy.parts.values()) <= 3, "sent again without end"
    report = upload(source, f"{bucket.url}/", tmp_path / "work", endpoint=bucket.server.endpoint)
    assert bucket.read("source") == source.read_bytes()
    assert report.errors == []


def ending(run):
    """What a run ends with, or what it reports of its one file."""
    try:
        (line,) = run().errors
    except AnabranchError as ended:
        return ended
    return line


def test_a_destination_that_stays_away_ends_the_run_as_temporary_and_the_same_command_resumes(
    bucket, source, tmp_path, monkeypatch
):
    monkeypatch.setattr(retrying, "PATIENCE", 0.3)
    with Faulty(
        bucket.server.port, lambda request: CUT if request.kind == "part" and request.count > 3 else PASS
    ) as proxy:
        with pytest.raises(AnabranchError) as caught:
            upload(source, f"{bucket.url}/", tmp_path / "work", endpoint=proxy.endpoint, parts_in_flight=1)
        assert (caught.value.code, caught.value.exit_code) == ("destination-away", 5)

    report = upload(source, f"{bucket.url}/", tmp_path / "work", endpoint=bucket.server.endpoint)

    assert report.items["parts_kept"] == 3
    assert bucket.read("source") == source.read_bytes()


def test_retry_after_is_obeyed(bucket, source, tmp_path):
    times = []

    def rule(request):
        if request.kind == "part":
            times.append(time.monotonic())
            if len(times) == 1:
                return error("SlowDown", "503 Slow Down", "Retry-After: 1")
        return PASS

    with Faulty(bucket.server.port, rule) as proxy:
        upload(source, f"{bucket.url}/", tmp_path / "work", endpoint=proxy.endpoint, parts_in_flight=1)

    assert times[1] - times[0] >= 1


def test_a_small_file_whose_answer_is_lost_is_no_conflict(bucket, tmp_path):
    small = tmp_path / "small"
    small.write_bytes(b"small")
    with Faulty(bucket.server.port, first("put", LOSE)) as proxy:
        report = upload(small, f"{bucket.url}/", tmp_path / "work", endpoint=proxy.endpoint, if_exists="fail")

    assert report.errors == []
    assert bucket.read("small") == b"small"
