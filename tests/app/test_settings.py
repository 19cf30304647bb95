import pytest
from pydantic import SecretStr

from app.errors import SettingsError
from app.settings import Settings, read_settings


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch, tmp_path):
    for name in Settings.model_fields:
        monkeypatch.delenv(f"AEGLE_{name.upper()}", raising=False)
    monkeypatch.delenv("AEGLE_SETTINGS_FILE", raising=False)
    monkeypatch.delenv("AEGLE_SECRETS_FOLDER", raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_service_listens_on_loopback_unless_told_otherwise():
    settings = read_settings()

    assert settings.host == "127.0.0.1"
    assert settings.list_hosts() == {"127.0.0.1", "localhost", "::1"}


def test_the_environment_wins_over_the_file(monkeypatch, tmp_path):
    (tmp_path / "aegle.toml").write_text('port = 1000\nlog_level = "debug"\n')
    monkeypatch.setenv("AEGLE_SETTINGS_FILE", str(tmp_path / "aegle.toml"))
    monkeypatch.setenv("AEGLE_PORT", "2000")

    settings = read_settings()

    assert (settings.port, settings.log_level) == (2000, "debug")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("AEGLE_PROT", "1", "AEGLE_PROT"),
        ("AEGLE_PORT", "many", "port"),
        ("AEGLE_PUBLIC_URL", "http://hospital.example", "public_url must be https"),
        ("AEGLE_OIDC_ISSUER", "https://id.example", "oidc_client_id"),
        ("AEGLE_OIDC_ISSUER", "http://id.example", "oidc_issuer must be https"),
        ("AEGLE_DATABASE_URL", "mysql://hunter2@x/y", "database_url must begin"),
        ("AEGLE_BLOB_URL", "https://x", "blob_url must begin"),
        ("AEGLE_RETENTION_DAYS", "0", "retention_days"),
        ("AEGLE_RETENTION_FLAGGED_DAYS", "90", "retention_flagged_days needs"),
        ("AEGLE_SETTINGS_FILE", "/nowhere.toml", "names no file"),
        ("AEGLE_SECRETS_FOLDER", "/nowhere", "names no folder"),
    ],
)
def test_settings_that_cannot_be_used_are_named_without_their_value(monkeypatch, name, value, told):
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError, match=told) as caught:
        read_settings()

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("text", ["unknown = 1", "port = ["])
def test_a_file_with_unknown_keys_or_no_toml_is_refused(monkeypatch, tmp_path, text):
    (tmp_path / "aegle.toml").write_text(text)
    monkeypatch.setenv("AEGLE_SETTINGS_FILE", str(tmp_path / "aegle.toml"))

    with pytest.raises(SettingsError):
        read_settings()


def test_secrets_are_not_shown_by_the_settings():
    settings = Settings(
        database_url="postgresql://u:hunter2@h/d", s3_secret_key=SecretStr("hunter2")
    )

    assert "hunter2" not in repr(settings)


def test_secrets_are_read_from_a_folder_of_files(monkeypatch, tmp_path):
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "aegle_database_password").write_text("hunter2\n")
    (folder / "another_tools_token").write_text("not ours")
    monkeypatch.setenv("AEGLE_SECRETS_FOLDER", str(folder))

    settings = read_settings()

    assert settings.database_password == SecretStr("hunter2")


def test_the_environment_wins_over_secrets_and_these_over_the_file(monkeypatch, tmp_path):
    folder = tmp_path / "secrets"
    folder.mkdir()
    (tmp_path / "aegle.toml").write_text('s3_access_key = "file"\ns3_secret_key = "file"\n')
    (folder / "aegle_s3_access_key").write_text("secret")
    (folder / "aegle_s3_secret_key").write_text("secret")
    monkeypatch.setenv("AEGLE_SETTINGS_FILE", str(tmp_path / "aegle.toml"))
    monkeypatch.setenv("AEGLE_SECRETS_FOLDER", str(folder))
    monkeypatch.setenv("AEGLE_S3_ACCESS_KEY", "environment")

    settings = read_settings()

    assert settings.s3_access_key == SecretStr("environment")
    assert settings.s3_secret_key == SecretStr("secret")


def test_a_secret_that_is_no_setting_is_refused(monkeypatch, tmp_path):
    (tmp_path / "aegle_databse_password").write_text("hunter2")
    monkeypatch.setenv("AEGLE_SECRETS_FOLDER", str(tmp_path))

    with pytest.raises(SettingsError, match="aegle_databse_password"):
        read_settings()


def test_lists_and_tables_are_json_in_the_environment(monkeypatch):
    monkeypatch.setenv("AEGLE_ALLOWED_HOSTS", '["aegle.example"]')
    monkeypatch.setenv("AEGLE_OIDC_ROLES", '{"radiology": "reader"}')

    settings = read_settings()

    assert settings.allowed_hosts == ("aegle.example",)
    assert settings.oidc_roles == {"radiology": "reader"}
