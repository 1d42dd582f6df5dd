"""Guess the encoding of a text, for the remedy of an error: it is named, and never applied."""

_MOST = 128 << 10  # bytes to guess by
_ALIKE = 5  # encodings that fit as well as each other, of which more say nothing
_LIKELIER = ("cp1252", "latin_1")


def hint(data: bytes) -> str:
    """Return a sentence that names the encodings that this text most likely has; an empty one where none is likely."""
    import charset_normalizer  # noqa: PLC0415  for errors only

    found = list(charset_normalizer.from_bytes(data[:_MOST]))
    best = [one.encoding for one in found if (one.chaos, one.coherence) == (found[0].chaos, found[0].coherence)]
    if not best or len(best) > _ALIKE or best[0] in ("ascii", "utf_8"):
        return ""
    best.sort(key=lambda name: name not in _LIKELIER)
    return f"It looks like {' or '.join(best[:2]).replace('_', '-')}, but that is a guess."
