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
