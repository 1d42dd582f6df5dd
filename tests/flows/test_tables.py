"""import_table from its deployment's form: plain values, which the server compares with the form."""

import pytest

from tests.tables.importing import contents


@pytest.mark.server
def test_a_run_that_its_form_started_fills_the_table(prefect_server, tmp_path):
    from prefect.client.orchestration import get_client
    from prefect.flows import load_flow_from_entrypoint

    (tmp_path / "a.csv").write_text("id,name\n1,a\n2,b\n1,c\n")
    database = f"sqlite:///{tmp_path}/crm.db"
    flow = load_flow_from_entrypoint("flows.tables.import_table")
    form = {
        "source": [str(tmp_path / "a.csv")],
        "options": {"into": database, "table": "people", "key": ["id"], "create_table": True, "on_duplicate": "skip"},
        "run": {"work_dir": str(tmp_path / "work")},
    }
    with get_client(sync_client=True) as client:
        deployment = client.create_deployment(
            client.create_flow(flow),
            "form",
            parameter_openapi_schema=flow.parameters.model_dump(),
            enforce_parameter_schema=True,
        )
        run = client.create_flow_run_from_deployment(deployment, parameters=form)
        report = flow(**flow.validate_parameters(client.read_flow_run(run.id).parameters))

    assert contents(database, "people") == [(1, "a"), (2, "b")]
    assert (report.status, report.items["accepted"], report.items["duplicates_in_file"]) == ("completed", 2, 1)
