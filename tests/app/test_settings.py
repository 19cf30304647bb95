import pytest
from pydantic import SecretStr

from app.errors import SettingsError
from app.settings import Settings, read_settings


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch, tmp_path):
    for name in Settings.model_fields:
        monkeypatch.delenv(f"AEGLE_{name.upper()}", raising=False)
    monkeypatch.delenv("AEGLE_SETTINGS_FILE", raising=False)
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
        ("AEGLE_SETTINGS_FILE", "/nowhere.toml", "names no file"),
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
