"""Check, before a run starts, that a cluster's workers see the folder where the parts leave their files."""

import uuid
from pathlib import Path
from typing import Any

from anabranch.errors import SetupError


def check_shared(client: Any, folder: Path) -> None:
    """Raise SetupError "work-dir-not-shared" unless every worker of the Dask client sees a file made here."""
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".probe-{uuid.uuid4().hex}"
    probe.touch()
    try:
        blind = [worker for worker, sees in client.run(_sees, str(probe)).items() if not sees]
    finally:
        probe.unlink()
    if blind:
        raise SetupError(
            "work-dir-not-shared",
            f"{len(blind)} workers of the cluster do not see the work folder {folder}, {blind[0]} among them",
            "Name a folder that all machines share with --work-dir or ANABRANCH_WORK_DIR.",
        )


def _sees(path: str) -> bool:
    return Path(path).exists()
