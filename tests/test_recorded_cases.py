"""The manifests of recorded cases, in each form that they have."""

import json

import pytest

from tests.cases import cases

CASES = [{"name": "a"}, {"name": "b"}]


@pytest.mark.parametrize("manifest", [CASES, {"oracle": "x", "cases": CASES}, {"note": "y", "files": CASES}])
def test_a_manifest_is_a_list_or_has_one(tmp_path, monkeypatch, manifest):
    monkeypatch.setenv("ANABRANCH_CASES", str(tmp_path))
    (tmp_path / "things").mkdir()
    (tmp_path / "things" / "manifest.json").write_text(json.dumps(manifest))

    assert cases("things") == CASES
    assert cases("others") == []
