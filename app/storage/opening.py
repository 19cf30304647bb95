"""From settings to an open database and blob store: the edge that entry points and commands use."""

from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr
from starlette.requests import Request

from app.settings import Settings
from app.storage.blobs import BlobStore
from app.storage.database import Database, open_database
from app.storage.folder_store import FolderBlobStore
from app.storage.object_store import S3Access, open_s3_store
from app.storage.schema import check_schema, is_empty, migrate_database
from app.storage.watermark import Watermark, measure_folder


@dataclass(frozen=True, slots=True)
class Storage:
    """Everything that keeps what the service was given."""

    database: Database
    blobs: BlobStore
    watermark: Watermark

    def close(self) -> None:
        """Close the connections."""
        self.database.close()


def open_storage(settings: Settings) -> Storage:
    """Open database and blob store; an empty database is created, an old one refused.

    Raises:
        SchemaOutdated: the database waits for `aegle migrate`.
        SchemaTooNew: it was migrated by a newer release.
    """
    settings.data_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = open_settings_database(settings)
    if is_empty(database):
        migrate_database(database)
    check_schema(database)
    blobs = open_settings_blobs(settings)
    measures = (lambda: measure_folder(settings.data_folder), blobs.find_free_bytes)
    return Storage(database, blobs, Watermark(measures, settings.min_free_bytes))


def get_storage(request: Request) -> Storage:
    """Give the storage of the application that answers."""
    storage: Storage = request.app.state.storage
    return storage


def open_settings_database(settings: Settings) -> Database:
    """Open the database that the settings name, whatever its schema."""
    password = _reveal(settings.database_password)
    return open_database(settings.find_database_url(), settings.database_pool_size, password)


def open_settings_blobs(settings: Settings) -> BlobStore:
    """Open the blob store that the settings name."""
    spool: Path = settings.data_folder / "incoming"
    if settings.blob_url is None:
        return FolderBlobStore(settings.data_folder / "blobs")
    access = S3Access(
        url=settings.blob_url,
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        access_key=_reveal(settings.s3_access_key),
        secret_key=_reveal(settings.s3_secret_key),
    )
    return open_s3_store(access, spool)


def _reveal(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
