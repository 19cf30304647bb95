import pytest

from app.client.access import read_access
from app.client.errors import AddressRefused, KeyMissing
from app.settings import KEY_FILE_VARIABLE, KEY_VARIABLE

KEY = f"aegle_{'1' * 32}_{'2' * 64}"


def test_the_key_comes_from_the_environment_or_a_file(tmp_path):
    (tmp_path / "key").write_text(KEY + "\n")

    by_value = read_access("http://127.0.0.1:1/", {KEY_VARIABLE: KEY}, allows_http=False)
    by_file = read_access(
        "http://127.0.0.1:1", {KEY_FILE_VARIABLE: str(tmp_path / "key")}, allows_http=False
    )

    assert by_value == by_file
    assert str(by_value.key) == KEY


@pytest.mark.parametrize("environment", [{}, {KEY_VARIABLE: " "}, {KEY_VARIABLE: "secret"}])
def test_without_a_key_it_says_where_one_belongs_and_repeats_nothing(environment):
    with pytest.raises(KeyMissing) as refused:
        read_access("https://aegle.example", environment, allows_http=False)

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["http://aegle.example", "ftp://aegle.example", "aegle.example", "https://a:b@aegle.example",
     "https://aegle.example?x=1", "https://"],
)  # fmt: skip
def test_an_address_that_would_show_the_key_is_refused(url):
    with pytest.raises(AddressRefused):
        read_access(url, {KEY_VARIABLE: KEY}, allows_http=False)


def test_a_trusted_network_may_be_told():
    access = read_access("http://aegle:8080", {KEY_VARIABLE: KEY}, allows_http=True)

    assert not access.is_local
