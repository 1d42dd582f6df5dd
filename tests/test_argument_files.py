"""Long lists of sources: a file in the work folder, of which the run's parameters have the name."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.core.argument_files import LONGEST, expanded, shortened
from anabranch.core.errors import UsageError
from tests.logs.archives import flow, write

NAMES = st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=40).map(lambda name: f"/{name}"))


@given(NAMES, st.booleans())
def test_every_list_comes_back_as_it_was(tmp_path_factory, names, long):
    source = names * (LONGEST // 4 if long and names else 1)
    given_on = shortened(source, tmp_path_factory.mktemp("work"))

    assert expanded(given_on) == source
    assert len(json.dumps(given_on)) <= LONGEST


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_text("[]")], ids=["gone", "changed"])
def test_a_list_that_is_gone_or_changed_is_an_error(tmp_path, spoil):
    given_on = shortened(["/a" * LONGEST], tmp_path)
    spoil(Path(given_on[0].removeprefix("@")))

    with pytest.raises(UsageError) as caught:
        expanded(given_on)
    assert caught.value.code == "sources-gone"


@pytest.mark.server
def test_a_command_with_more_paths_than_prefect_takes_runs_and_its_parameters_stay_small(prefect_server, tmp_path):
    from anabranch.run.api import call

    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "unit.tar", {"messages.log": flow(7)})
    links = [tmp_path / f"{number:04}{'x' * 200}" for number in range(2_500)]
    for link in links:
        link.symlink_to("in")
    words = [str(link / "unit.tar") for link in links]
    assert len(json.dumps(words)) > 512 << 10
    command = [sys.executable, "-m", "anabranch.command.cli", "parse-logs", *words, "--mode", "bw", "--json"]
    places = {"ANABRANCH_WORK_DIR": str(tmp_path / "work"), "ANABRANCH_STATE_DIR": str(tmp_path / "state")}

    done = subprocess.run(
        [*command, "--output", tmp_path / "out"], env={**os.environ, **places}, capture_output=True, check=True
    )

    run = call(f"{prefect_server}/flow_runs/{json.loads(done.stdout)['run_id']}")
    assert (tmp_path / "out").read_text().count("\n") == 2
    assert len(json.dumps(run["parameters"])) < LONGEST
