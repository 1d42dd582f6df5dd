import subprocess
import sys

import pytest

from anabranch.core.config import RunOptions
from anabranch.core.errors import TemporaryError
from anabranch.files.options import ConvertOptions
from tests.run.faulty_proxy import before

PARAMETERS = {
    "source": ["a.csv"],
    "output": None,
    "options": ConvertOptions(to="jsonl", schema="schema.json"),
    "run": RunOptions(workers=2),
}


@pytest.mark.server
def test_the_page_of_the_run_shows_the_parameters_as_prefect_itself_would(prefect_server):
    from prefect import flow
    from prefect.client.orchestration import get_client

    from anabranch.run.lean import call

    @flow
    def convert(source: list[str], output: str | None, options: ConvertOptions, run: RunOptions):
        return source, output, options, run

    state = call(convert, PARAMETERS)
    with get_client(sync_client=True) as client:
        shown = client.read_flow_run(state.state_details.flow_run_id).parameters

    assert state.result() == tuple(PARAMETERS.values())
    assert shown == convert.serialize_parameters(PARAMETERS)
    assert shown["options"]["types"]["schema"].endswith("schema.json")


@pytest.mark.server
@pytest.mark.faults
@pytest.mark.parametrize("turn", ["503", "lost"])
def test_a_server_that_is_too_busy_to_begin_a_run_is_temporary(prefect_server, monkeypatch, turn):
    from prefect import flow
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    from anabranch.run.lean import call

    @flow
    def look():
        raise AssertionError

    with before(prefect_server, "/flow_runs/", (turn,)) as proxy:
        monkeypatch.setenv("PREFECT_API_URL", proxy)
        with (
            temporary_settings({PREFECT_API_URL: proxy, PREFECT_CLIENT_MAX_RETRIES: 0}),
            pytest.raises(TemporaryError) as caught,
        ):
            call(look, {})

    assert (caught.value.code, caught.value.exit_code) == ("server-busy", 5)


@pytest.mark.server
def test_a_call_has_no_heartbeat(prefect_server):
    from prefect import flow
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    from anabranch.run.lean import call

    @flow
    def look():
        return PREFECT_FLOWS_HEARTBEAT_FREQUENCY.value()

    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: 30}):
        assert look() == 30
        assert call(look, {}).result() is None


@pytest.mark.server
def test_a_call_leaves_the_flow_itself_as_it_was(prefect_server):
    from prefect import flow
    from prefect.exceptions import ParameterTypeError

    from anabranch.run.lean import call

    @flow
    def double(number: int):
        return 2 * number

    assert call(double, {"number": 2}).result() == 4
    with pytest.raises(ParameterTypeError):
        double("two")


@pytest.mark.server
def test_a_call_imports_neither_fastapi_nor_the_old_pydantic(prefect_server):
    code = """
import sys
from prefect import flow
from anabranch.run.lean import call
call(flow(lambda: None, name="nothing"), {}).result()
print(*{"fastapi", "pydantic.v1"}.intersection(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)

    assert done.stdout.strip() == b""
