"""Open the store that a destination names."""

from importlib import import_module

from anabranch.uploads.stores.base import Destination, ParallelStore, SequentialStore
from anabranch.uploads.stores.secrets import Unlock, no_blocks

_STORES = {
    "file": "anabranch.uploads.stores.local:FolderStore",
    "s3": "anabranch.uploads.stores.s3:S3Store",
    "sftp": "anabranch.uploads.stores.sftp:SftpStore",
    "az": "anabranch.uploads.stores.azure:AzureStore",
    "gs": "anabranch.uploads.stores.gcs_parts:GcsPartedStore",
    "gs in order": "anabranch.uploads.stores.gcs:GcsStore",
    "gdrive": "anabranch.uploads.stores.google:DriveStore",
}


def open_store(destination: Destination, unlock: Unlock = no_blocks) -> ParallelStore | SequentialStore:
    """Make the store, importing only what it needs; nothing is asked of it, or of `unlock`, yet."""
    module, name = _STORES[f"{destination.kind} in order" if destination.in_order else destination.kind].split(":")
    store: ParallelStore | SequentialStore = getattr(import_module(module), name)(destination, unlock)
    return store
