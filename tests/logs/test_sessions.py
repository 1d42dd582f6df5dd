import pytest

from anabranch.logs.sessions import event, summary

T = [f"2025-09-26 1{hour}:00:00+00:00" for hour in range(4)]


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], []),
        ([("start", 0), ("end", 1)], [f"Complete (no session id found): -b '{T[0]}' -e '{T[1]}', 1:00:00"]),
        ([("start", 1), ("end", 0)], [f"Complete (no session id found): -b '{T[1]}' -e '{T[0]}', -1 day, 23:00:00"]),
        ([("start", 0), ("id", "7"), ("end", 1)], [f"Complete (session id: 7): -b '{T[0]}' -e '{T[1]}', 1:00:00"]),
        ([("start", 0)], [f"Start Only (no session id found): {T[0]}"]),
        ([("start", 0), ("id", "7")], [f"Start Only (session id: 7: {T[0]}"]),
        ([("end", 0)], [f"End Only (no session id found):   {T[0]}"]),
        (
            [("id", "7"), ("end", 0), ("end", 1)],
            [f"End Only (session id: 7):   {T[0]}", f"End Only (no session id found):   {T[1]}"],
        ),
        (
            [("start", 0), ("id", "7"), ("start", 1), ("end", 2)],
            [f"Start Only (session id: 7: {T[0]}", f"Complete (session id: 7): -b '{T[1]}' -e '{T[2]}', 1:00:00"],
        ),
    ],
)
def test_sessions_from_events(events, expected):
    written = [event(kind, *((T[0], what) if kind == "id" else (T[what], ""))) for kind, what in events]

    assert "".join(summary(written)).splitlines() == ["", *expected]
