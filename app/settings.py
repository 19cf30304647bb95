"""Settings of the service: from the environment (`AEGLE_...`) and files, read at one edge.

AEGLE_SETTINGS_FILE names a TOML file. AEGLE_SECRETS_FOLDER names a folder with one file a setting
(`aegle_database_password`), as container engines mount secrets. The environment wins over the
secrets, these over the TOML file. Unknown keys are refused in all of them. Nothing below the entry
points sees `Settings`: inner functions get values.
"""

import ipaddress
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from app.errors import SettingsError

PREFIX = "AEGLE_"
FILE_VARIABLE = "AEGLE_SETTINGS_FILE"
SECRETS_VARIABLE = "AEGLE_SECRETS_FOLDER"
URL_VARIABLE = "AEGLE_URL"
KEY_VARIABLE = "AEGLE_API_KEY"
KEY_FILE_VARIABLE = "AEGLE_API_KEY_FILE"
_NOT_SETTINGS = {
    FILE_VARIABLE,
    SECRETS_VARIABLE,
    # read by the client and the tests, which may run beside a service
    URL_VARIABLE,
    KEY_VARIABLE,
    KEY_FILE_VARIABLE,
    "AEGLE_REAL_DATA",
}

MIB = 1024 * 1024
GIB = 1024 * MIB


class Settings(BaseSettings):
    """Everything an operator can choose."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", nested_model_default_partial_update=False
    )

    # where it listens
    host: str = Field(default="127.0.0.1", description="Address to bind to; loopback by default.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port to bind to.")
    public_url: str | None = Field(
        default=None,
        description="Address under which browsers reach the service; https unless loopback.",
    )
    allowed_hosts: tuple[str, ...] = Field(
        default=(), description="More names that the Host header may carry, without port."
    )
    trusted_proxies: tuple[str, ...] = Field(
        default=(), description="Addresses of proxies whose X-Forwarded-For is believed."
    )

    # what is kept
    data_folder: Path = Field(
        default=Path("var/service"), description="Folder of database, blobs and bundles."
    )
    database_url: SecretStr | None = Field(
        default=None, description="postgresql://... ; SQLite inside data_folder by default."
    )
    database_password: SecretStr | None = Field(
        default=None, description="Password for database_url, where that holds none."
    )
    database_pool_size: int = Field(default=10, ge=1, le=200, description="Open connections kept.")
    blob_url: str | None = Field(
        default=None, description="s3://bucket/prefix; a folder inside data_folder by default."
    )
    s3_endpoint: str | None = Field(default=None, description="Address of an S3-compatible store.")
    s3_region: str = Field(default="us-east-1", description="Region of the S3 store.")
    s3_access_key: SecretStr | None = Field(default=None, description="Access key of the store.")
    s3_secret_key: SecretStr | None = Field(default=None, description="Secret key of the store.")
    min_free_bytes: int = Field(
        default=GIB, ge=0, description="Uploads are answered 507 when less than this is free."
    )
    collect_grace_s: int = Field(
        default=86_400, ge=60, description="Unreferenced blobs younger than this are kept."
    )

    collect_every_s: int = Field(
        default=86_400,
        ge=0,
        description="How often expired cases and unreferenced blobs are removed; 0 never.",
    )
    retention_days: int | None = Field(
        default=None,
        ge=1,
        description="Cases neither anomalous nor reviewed are deleted after so many days.",
    )
    retention_flagged_days: int | None = Field(
        default=None,
        ge=1,
        description="Anomalous or reviewed cases are deleted after so many days.",
    )

    # what is taken in
    max_body_bytes: int = Field(
        default=MIB, ge=1024, description="Largest request body outside of uploads."
    )
    max_upload_bytes: int = Field(default=GIB, ge=1024, description="Largest upload.")

    max_wait_s: float = Field(
        default=60.0, ge=0.0, le=600.0, description="Longest `wait` of an upload for its finding."
    )

    # what DICOM peers may do
    dicom_ae_title: str = Field(
        default="AEGLE", min_length=1, max_length=16, description="Our AE title."
    )
    dicom_port: int = Field(default=11112, ge=0, le=65535, description="Port of `aegle listen`.")
    dicom_callers: tuple[str, ...] = Field(
        default=(), description="AE titles that may send by C-STORE; nobody by default."
    )
    dicom_associations: int = Field(default=16, ge=1, le=512, description="Most at one time.")
    dicom_pdu_bytes: int = Field(
        default=131_072, ge=4096, le=1_048_576, description="Largest PDU that is taken."
    )
    dicom_tls_certificate: Path | None = Field(
        default=None, description="PEM certificate of `aegle listen`; with it only TLS is taken."
    )
    dicom_tls_key: Path | None = Field(default=None, description="Its PEM key.")
    dicom_tls_ca: Path | None = Field(
        default=None, description="PEM authorities; callers must then show a certificate of theirs."
    )
    dicom_quiet_s: float = Field(
        default=60.0, ge=0.0, le=86_400.0, description="A series is complete after this quiet time."
    )
    deidentify_intake: bool = Field(
        default=False,
        description="Take the patient out of DICOM objects before they are kept; nothing that is "
        "no DICOM is taken in then.",
    )
    stow_requests: int = Field(
        default=64, ge=1, le=1024, description="STOW requests answered at one time; then 503."
    )

    # how it is scored
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="Where the network runs; auto is a GPU where there is one."
    )
    bundle: Path | None = Field(
        default=None, description="Bundle that becomes live at the first start."
    )
    decoders: int = Field(default=2, ge=1, le=64, description="Bounded decoder processes.")
    batch_scans: int = Field(default=16, ge=1, le=1024, description="Most scans of one batch.")
    batch_slices: int = Field(default=128, ge=1, le=8192, description="Most slices of one batch.")
    batch_wait_ms: float = Field(
        default=4.0, ge=0.0, le=1000.0, description="How long a batch waits for more scans."
    )
    queue_scans: int = Field(
        default=64, ge=1, le=100_000, description="Accepted scans that may wait; then 503."
    )
    queue_pixels: int = Field(
        default=2**29, ge=1, description="Decoded pixels that may wait for the engine."
    )
    max_attempts: int = Field(
        default=3, ge=1, le=100, description="Starts after which an unscored case is set aside."
    )
    job_chunk_cases: int = Field(
        default=32, ge=1, le=1000, description="Cases of a job that are committed together."
    )
    job_lease_s: float = Field(
        default=20.0,
        ge=1.0,
        le=3600.0,
        description="Silence after which a job's chunk is taken from the process that holds it.",
    )
    shown_pixels: int = Field(
        default=2**26, ge=0, description="Decoded pixels kept in memory for viewers."
    )

    # which DICOM objects go out
    dicom_results: tuple[
        Literal["parametric_map", "segmentation", "structured_report", "secondary_capture"], ...
    ] = Field(
        default=("parametric_map", "segmentation", "structured_report", "secondary_capture"),
        description="Objects made of each finding of a DICOM scan, in its study.",
    )
    wrap_pictures: bool = Field(
        default=False, description="Wrap scans that are no DICOM, so that they show in viewers."
    )
    push_targets: dict[str, str] = Field(
        default_factory=dict,
        description="Where results are sent, by name: https://... or dicom://AE_TITLE@host:port.",
    )
    push_tokens: dict[str, SecretStr] = Field(
        default_factory=dict, description="Bearer tokens of push targets, by name."
    )
    push_deidentified: tuple[str, ...] = Field(
        default=(), description="Push targets that get de-identified results only."
    )

    # who is told
    webhook_urls: tuple[str, ...] = Field(
        default=(), description="Addresses told of findings; nothing else is ever called."
    )
    webhook_secret: SecretStr | None = Field(
        default=None, description="Key of the HMAC that signs what webhooks are told."
    )
    webhook_events: tuple[Literal["scored", "flagged"], ...] = Field(
        default=("flagged",), description="What webhooks are told of."
    )

    # who may
    session_idle_s: int = Field(default=1800, ge=60, description="Sessions end after this idle.")
    session_life_s: int = Field(default=43_200, ge=60, description="Sessions end after this.")
    key_rate_per_minute: int = Field(
        default=6000, ge=1, description="Requests a minute that one key or user may make."
    )
    login_rate_per_minute: int = Field(
        default=10, ge=1, description="Failed logins a minute that one address may make."
    )
    argon2_memory_kib: int = Field(default=47_104, ge=8, description="Memory of one hash.")
    argon2_time_cost: int = Field(default=1, ge=1, description="Passes of one password hash.")
    oidc_issuer: str | None = Field(
        default=None, description="Issuer of the identity provider; https unless loopback."
    )
    oidc_client_id: str | None = Field(default=None, description="Client id at the provider.")
    oidc_client_secret: SecretStr | None = Field(default=None, description="Client secret.")
    oidc_hosts: tuple[str, ...] = Field(
        default=(), description="More hosts that the provider's own addresses may name."
    )
    oidc_role_claim: str = Field(default="groups", description="Claim that holds the groups.")
    oidc_roles: dict[str, Literal["sender", "reader", "admin"]] = Field(
        default_factory=dict, description="Which value of the claim gives which role."
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level of the log lines written."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then the environment, then the secrets and the file that it names."""
        sources: tuple[PydanticBaseSettingsSource, ...] = (init_settings, env_settings)
        folder = os.environ.get(SECRETS_VARIABLE)
        if folder is not None:
            sources = (*sources, SecretsSettingsSource(settings_cls, secrets_dir=folder))
        file = os.environ.get(FILE_VARIABLE)
        if file is not None:
            sources = (*sources, TomlConfigSettingsSource(settings_cls, Path(file)))
        return sources

    @model_validator(mode="after")
    def _check_public_url(self) -> Self:
        for name, url in (("public_url", self.public_url), ("oidc_issuer", self.oidc_issuer)):
            if url is not None and not is_https_or_loopback(url):
                raise ValueError(f"{name} must be https, or http on a loopback address")
        return self

    @model_validator(mode="after")
    def _check_webhooks(self) -> Self:
        if any(not is_https_or_loopback(url) for url in self.webhook_urls):
            raise ValueError("webhook_urls must be https, or http on a loopback address")
        if self.webhook_urls and self.webhook_secret is None:
            raise ValueError("webhook_urls need a webhook_secret to sign with")
        return self

    @model_validator(mode="after")
    def _check_oidc(self) -> Self:
        if self.oidc_issuer is not None:
            if self.oidc_client_id is None or self.oidc_client_secret is None:
                raise ValueError("oidc_issuer needs oidc_client_id and oidc_client_secret")
            if not self.oidc_roles:
                raise ValueError("oidc_issuer needs oidc_roles, else nobody could log in")
        return self

    @model_validator(mode="after")
    def _check_database_url(self) -> Self:
        url = self.find_database_url()
        if not url.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
            raise ValueError("database_url must begin with sqlite:/// or postgresql://")
        if self.blob_url is not None and not self.blob_url.startswith("s3://"):
            raise ValueError("blob_url must begin with s3://")
        return self

    @model_validator(mode="after")
    def _check_retention(self) -> Self:
        days, flagged_days = self.retention_days, self.retention_flagged_days
        if flagged_days is not None and (days is None or flagged_days < days):
            raise ValueError("retention_flagged_days needs a retention_days that is no longer")
        if days is not None and not self.collect_every_s:
            raise ValueError("retention_days needs collect_every_s above 0")
        return self

    @property
    def is_https(self) -> bool:
        """Browsers reach the service over https."""
        return self.find_public_url().startswith("https://")

    def find_public_url(self) -> str:
        """Give the address for browsers, loopback at our port when none is set."""
        return (self.public_url or f"http://127.0.0.1:{self.port}").rstrip("/")

    def find_database_url(self) -> str:
        """Give the address of the database, SQLite in the data folder when none is set."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.data_folder / 'aegle.db'}"

    def list_hosts(self) -> frozenset[str]:
        """Give the names that the Host header may carry, without port."""
        names = {"127.0.0.1", "localhost", "::1", self.host, *self.allowed_hosts}
        public = urlsplit(self.find_public_url()).hostname
        return frozenset(name.lower() for name in (*names, public) if name)


def read_settings() -> Settings:
    """Read the settings from the environment and the file that it names.

    Raises:
        SettingsError: a key is unknown or its value cannot be used; the value is not repeated.
    """
    _refuse_unknown("environment", os.environ)
    file = os.environ.get(FILE_VARIABLE)
    if file is not None and not Path(file).is_file():
        raise SettingsError(f"{FILE_VARIABLE} names no file")
    folder = os.environ.get(SECRETS_VARIABLE)
    if folder is not None:
        if not Path(folder).is_dir():
            raise SettingsError(f"{SECRETS_VARIABLE} names no folder")
        _refuse_unknown("secrets", [path.name for path in Path(folder).iterdir()])
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(_tell_problems(error)) from None
    except ValueError:  # the file is no TOML, or a value in the environment no JSON
        raise SettingsError("the settings cannot be read: TOML or JSON is not valid") from None


def _refuse_unknown(place: str, names: Iterable[str]) -> None:
    known = {PREFIX + name.upper() for name in Settings.model_fields} | _NOT_SETTINGS
    ours = (name for name in names if name.upper().startswith(PREFIX))
    unknown = sorted(name for name in ours if name.upper() not in known)
    if unknown:
        raise SettingsError(f"unknown settings in the {place}: {', '.join(unknown)}")


def _tell_problems(error: ValidationError) -> str:
    problems = [
        f"{'.'.join(str(part) for part in item['loc']) or 'settings'}: {item['msg']}"
        for item in error.errors(include_input=False, include_url=False)
    ]
    return "; ".join(problems)


def is_https_or_loopback(url: str) -> bool:
    """Whether what is sent to an address cannot be read on the way."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    if parts.scheme != "http" or parts.hostname is None:
        return False
    try:
        return ipaddress.ip_address(parts.hostname).is_loopback
    except ValueError:
        return parts.hostname == "localhost"
