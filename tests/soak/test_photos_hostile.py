"""Heads of photos with changed, lost and doubled bytes: facts or a reason, within bounds of reads, bytes and time."""

import random
import time

import pytest

from anabranch.photos.positions import STATUSES
from anabranch.photos.reading import FIRST, MOST_BYTES, MOST_READS, Reader
from anabranch.photos.sample import CONTAINERS, Shot
from tests.examples import SOAK_EXAMPLES

SECONDS = 5.0  # for one photo, even on a busy machine; an ordinary one takes a fiftieth of a millisecond
HEADS = {kind: container.make(Shot(47.5, 7.5)) for kind, container in CONTAINERS.items()}
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF)


def mutated(data, draw):
    """Change some bytes near the metadata, cut, or double a piece."""
    photo = bytearray(data)
    hot = [place for place in (0, data.find(b"Exif"), data.find(b"II*\0"), data.find(b"MM\0*"), data.find(b"iloc"))
           if place >= 0]  # fmt: skip
    for _ in range(draw.randint(1, 12)):
        place = min(draw.choice(hot) + draw.randrange(400), len(photo) - 1)
        kind = draw.randrange(4)
        if kind == 0:
            photo[place] = draw.choice(NUMBERS)
        elif kind == 1:
            photo[place] = draw.randrange(256)
        elif kind == 2:
            del photo[place : place + draw.randrange(8)]
        else:
            photo[place:place] = photo[place : place + draw.randrange(16)]
    return bytes(photo[: draw.randrange(len(photo))]) if draw.random() < 0.1 else bytes(photo)


@pytest.mark.soak
@pytest.mark.parametrize("kind", CONTAINERS)
def test_changed_heads_give_facts_or_a_reason_within_bounds(kind):
    draw = random.Random(kind)
    for number in range(200 * min(SOAK_EXAMPLES, 50)):  # 10,000 of each container: 100,000 in all
        photo = mutated(HEADS[kind], draw)
        reader, began = Reader(len(photo), thin=number % 2 == 1), time.process_time()
        while reader.wanted is not None:
            offset, length = reader.wanted
            assert offset >= 0
            assert length > 0
            part = photo[offset : offset + length]
            reader.feed(part, ended=len(part) < length)

        assert reader.facts.status in (*STATUSES, "not_a_photo"), (kind, number)
        assert reader.facts.status == "ok" or reader.facts.lat in (None, 0.0)
        assert reader.reads <= MOST_READS
        assert reader.bytes <= MOST_BYTES + FIRST
        assert time.process_time() - began < SECONDS
