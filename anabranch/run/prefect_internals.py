"""What `anabranch.run` leans on that Prefect does not promise to keep: where an upgrade may break us, see its test.

Nothing here is imported from Prefect; the code imports what it needs where it needs it. `make test` compares this list
with the installed Prefect, and with what the code uses, so an upgrade that renames something fails there first.
"""

# modules whose names are Prefect's documented interface: what is imported from them needs no line here
DOCUMENTED = (
    "prefect",
    "prefect.artifacts",
    "prefect.blocks.core",
    "prefect.blocks.system",
    "prefect.cache_policies",
    "prefect.client.orchestration",
    "prefect.client.schemas.actions",
    "prefect.client.schemas.filters",
    "prefect.client.schemas.objects",
    "prefect.exceptions",
    "prefect.filesystems",
    "prefect.flows",
    "prefect.futures",
    "prefect.results",
    "prefect.settings",
    "prefect.states",
    "prefect.task_runners",
    "prefect.tasks",
    "prefect_dask.task_runners",
)

_RUN = ("task", "task_run_id", "parameters", "wait_for", "return_type", "dependencies", "context")
_CREATE = ("task", "flow_run_id", "dynamic_key", "id", "name", "extra_tags", "state")

# name -> the parameters that we pass, or nothing where we pass none by name
NAMES = {
    "prefect.context:AssetContext.from_task_and_inputs": ("task", "task_run_id", "task_inputs", "copy_to_child_ctx"),
    "prefect.context:FlowRunContext.get": (),
    "prefect.context:SettingsContext": ("profile", "settings"),
    "prefect.context:SyncClientContext": (),
    "prefect.context:TagsContext.get": (),
    "prefect.context:TaskRunContext.serialize": (),
    "prefect.context:get_settings_context": (),
    "prefect.context:serialize_context": (),
    "prefect.server.api.server:create_app": ("final",),
    "prefect.server.database.configurations:AioSqliteConfiguration.begin_transaction": ("session", "with_for_update"),
    "prefect.task_engine:run_task_async": _RUN,
    "prefect.task_engine:run_task_sync": _RUN,
    "prefect.utilities.annotations:BaseAnnotation.unwrap": (),
    "prefect.utilities.asyncutils:run_coro_as_sync": (),
    "prefect.utilities.engine:collect_task_run_inputs_sync": (),
    "prefect.utilities.urls:url_for": (),
    "prefect_dask.client:PrefectDaskClient": (),
    # of documented classes, what their documents leave out
    "prefect.client.orchestration:SyncPrefectClient.create_task_run": _CREATE,
    "prefect.client.orchestration:SyncPrefectClient.set_task_run_state": ("task_run_id", "state", "force"),
    "prefect.client.orchestration:SyncPrefectClient.increment_concurrency_slots_with_lease": (),
    "prefect.client.orchestration:SyncPrefectClient.release_concurrency_slots_with_lease": (),
    "prefect.client.orchestration:SyncPrefectClient.renew_concurrency_lease": (),
    "prefect.exceptions:TerminationSignal": (),
    "prefect.flows:Flow.serialize_parameters": ("parameters",),
    "prefect.results:ResultStore.exists": (),
    "prefect.results:ResultStore.read": (),
    "prefect_dask.task_runners:PrefectDaskFuture": ("task_run_id", "wrapped_future"),
}

# attributes that a subclass or caller of ours reads or sets on instances
ATTRIBUTES = {
    "prefect_dask.task_runners:DaskTaskRunner": ("_client", "_exit_stack", "_started", "address", "client_kwargs"),
    "prefect_dask.task_runners:PrefectDaskFuture": ("_final_state", "_wrapped_future"),
    "prefect.client.orchestration:SyncPrefectClient": ("_client",),
    "prefect.flows:Flow": ("on_running_hooks", "fn", "__wrapped__"),
}

# parts of what `serialize_context` returns; anything else in it is the same for all tasks of a flow run
CONTEXT = ("flow_run_context", "task_run_context", "tags_context", "asset_context", "settings_context")

# settings, by their variables (PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL is of the handler `console` in its logging.yml)
SETTINGS = (
    "PREFECT_API_AUTH_STRING",
    "PREFECT_API_KEY",
    "PREFECT_API_SSL_CERT_FILE",
    "PREFECT_API_TLS_INSECURE_SKIP_VERIFY",
    "PREFECT_API_URL",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY",
    "PREFECT_HOME",
    "PREFECT_SERVER_ANALYTICS_ENABLED",
    "PREFECT_SERVER_API_AUTH_STRING",
    "PREFECT_PLUGINS_ALLOW",
    "PREFECT_PLUGINS_ENABLED",
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE",
    "PREFECT_SERVER_CORS_ALLOWED_ORIGINS",
    "PREFECT_SERVER_DATABASE_TIMEOUT",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE",
    "PREFECT_SERVER_UI_API_URL",
    "PREFECT_SERVER_UI_V2_ENABLED",
    "PREFECT_UI_URL",
    "PREFECT_WORKER_QUERY_SECONDS",
)
