import pytest


@pytest.mark.server
def test_one_process_reads_the_settings_of_a_run_once_and_they_are_those_of_the_flow(prefect_server):
    import cloudpickle
    from prefect import flow
    from prefect.context import SettingsContext
    from prefect.settings import PREFECT_TASKS_DEFAULT_RETRIES, temporary_settings

    from anabranch.run.runner import _shared_context
    from anabranch.run.warm import WarmRun

    @flow
    def context():
        return cloudpickle.dumps(_shared_context())

    with temporary_settings({PREFECT_TASKS_DEFAULT_RETRIES: 7}):
        runs = [WarmRun(context()) for _ in range(2)]
    first, second = (run.context[SettingsContext.__var__].settings for run in runs)

    assert first is second
    assert first.tasks.default_retries == 7


def test_dask_does_not_log_the_login_of_the_server_with_a_call_that_fails(caplog):
    import distributed

    from anabranch.run.payload import Unseen
    from anabranch.run.warm import run_task

    with distributed.Client(processes=False, dashboard_address=None, set_as_default=False) as client:
        call = client.submit(run_task, Unseen(b"word-of-the-login"), b"", b"", [])
        assert isinstance(call.exception(timeout=60), RuntimeError)

    logged = [record.getMessage() for record in caplog.records if "run_task" in record.getMessage()]
    assert logged
    assert not [line for line in logged if "word-of-the-login" in line]
