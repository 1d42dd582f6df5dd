import io
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anabranch.core.errors import SourceError
from anabranch.formats.json.array import Flattener, lines_of_array

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(['"', "\\", '\\"', "],[", "{ }", "a  b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
INDENTS = st.sampled_from([None, 1, "\t", "\r\n"])


def flat(text):
    return b"".join(lines_of_array(io.BytesIO(text)))


def fed(text, sizes):
    flattener, lines = Flattener(), b""
    for size in sizes:
        lines += flattener.feed(text[:size])
        text = text[size:]
    return lines + flattener.feed(text) + flattener.close()


@given(st.lists(VALUES, max_size=5), INDENTS, st.booleans())
def test_each_item_becomes_a_line(items, indent, ascii_):
    text = json.dumps(items, indent=indent, ensure_ascii=ascii_).encode()

    lines = flat(text)

    assert [json.loads(line) for line in lines.split(b"\n")[:-1]] == items
    assert lines.endswith(b"\n") or not items


@given(st.lists(VALUES, max_size=3), INDENTS, st.lists(st.integers(0, 9), max_size=30))
def test_it_does_not_matter_in_which_pieces_the_text_comes(items, indent, sizes):
    text = json.dumps(items, indent=indent, ensure_ascii=False).encode()

    assert fed(text, sizes) == flat(text)


@example("[,}", [2])
@example("[1]]", [3])
@given(st.text(alphabet='[]{},:"\\ \n1ab', max_size=12), st.lists(st.integers(0, 3), max_size=8))
def test_any_text_ends_in_lines_or_an_error_whatever_its_pieces(text, sizes):
    def outcome(make):
        try:
            return make()
        except SourceError as error:
            return error.code, error.reason

    assert outcome(lambda: fed(text.encode(), sizes)) == outcome(lambda: fed(text.encode(), []))


@given(st.text(alphabet='[]{},:"\\ \n1ab', max_size=10).map(lambda text: f"[{text}]"))
def test_a_text_that_is_no_array_never_passes_as_one(text):
    try:
        lines = flat(text.encode()).decode().split("\n")[:-1]
        items = [json.loads(line) for line in lines]
    except (SourceError, json.JSONDecodeError):
        with pytest.raises(json.JSONDecodeError):
            json.loads(text)
    else:
        assert json.loads(text) == items


@given(st.lists(st.dictionaries(st.sampled_from("ab"), st.text(max_size=30)), max_size=8), st.integers(1, 40))
def test_blocks_begin_with_the_first_record_at_or_behind_a_multiple_of_their_size(items, size):
    blocks = list(lines_of_array(io.BytesIO(json.dumps(items).encode()), size))

    assert b"".join(blocks) == flat(json.dumps(items).encode())
    begins = [sum(map(len, blocks[:number])) for number in range(len(blocks) + 1)]
    for block, begin, end in zip(blocks, begins, begins[1:], strict=False):
        last = begin + block.rfind(b"\n", 0, -1) + 1
        assert end // size > begin // size or end == begins[-1]
        assert last == begin or last // size == begin // size


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b"", b""),
        (b" [ ] ", b""),
        (b'\xef\xbb\xbf[{"a":1}]', b'{"a":1}\n'),
        (b'{\n  "a": 1,\n  "b": [2, 3]\n}\n', b'{"a":1,"b":[2,3]}\n'),
        (b'{"a":1}\n{"a":2} {"a":3}', b'{"a":1}\n{"a":2}\n{"a":3}\n'),
        (b"[1.50, 99999999999999999999]", b"1.50\n99999999999999999999\n"),
    ],
)
def test_what_counts_as_records(text, lines):
    assert flat(text) == lines


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (b'[{"a": 1 2}]', b'{"a":1 2}'),
        (b'[{"a":1} {"b":2}]', b'{"a":1}{"b":2}'),
        (b'[{"a":"x\ny"}]', b'{"a":"x\x0by"}'),
        (b'[{"a":1 \n\n b}]', b'{"a":1 b}'),
        (b'[{"a":"\xff"}]', b'{"a":"\xff"}'),
    ],
)
def test_a_faulty_item_stays_faulty_and_one_line(text, line):
    assert flat(text) == line + b"\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b'[{"a":1}', "cut off at byte 8"),
        (b'[{"a":1},', "cut off at byte 9"),
        (b'[{"a":"x', "cut off at byte 8"),
        (b'[{"a":"\\', "cut off at byte 8"),
        (b'{"a":1', "cut off at byte 6"),
        (b"[", "cut off at byte 1"),
        (b'[{"a":1},,{"a":2}]', "an item is missing at byte 9"),
        (b'[{"a":1}, ]', "an item is missing at byte 10"),
        (b'[,{"a":1}]', "an item is missing at byte 1"),
        (b'[{"a":1}] x', "after the end of the array at byte 10"),
        (b'[{"a":1}][2]', "after the end of the array at byte 9"),
        (b'[{"a":1}}', "closes what another opened at byte 8"),
        (b'{"a":1}}', "closes nothing at byte 7"),
    ],
)
def test_a_broken_structure_is_an_error_that_tells_the_byte(text, reason):
    for sizes in ([], [1] * len(text)):
        with pytest.raises(SourceError) as caught:
            fed(text, sizes)
        assert caught.value.code == "bad-json"
        assert reason in caught.value.reason


def test_a_record_without_end_is_refused_before_it_fills_the_memory():
    class Endless(io.RawIOBase):
        given = 0

        def read(self, size=-1):
            self.given += size
            return b'["' + b"x" * (size - 2) if self.given == size else b"x" * size

    stream = Endless()
    with pytest.raises(SourceError, match="longer than 64 MiB"):
        list(lines_of_array(stream))
    assert stream.given < 100 << 20


def test_brackets_by_the_million_do_no_harm():
    text = b"[" * 1_000_000 + b"]" * 1_000_000

    assert flat(text) == text[1:-1] + b"\n"
