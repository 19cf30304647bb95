import pytest

from app.client.patience import Patience, RetryRules
from tests.fakes.clock import FakeClock


def make_patience(clock, chance=1.0):
    return Patience(RetryRules(patience_s=10.0, first_s=1.0, most_s=3.0), clock, lambda: chance)


def test_pauses_double_up_to_the_longest_and_end_with_patience(clock):
    patience = make_patience(clock)
    pauses = []

    while (pause_s := patience.find_pause_s(None)) is not None:
        pauses.append(pause_s)
        clock.move(pause_s)

    assert pauses == [1.0, 2.0, 3.0, 3.0]


def test_chance_spreads_a_pause_over_its_upper_half(clock):
    assert make_patience(clock, 0.0).find_pause_s(None) == 0.5


def test_the_word_of_the_service_counts_instead(clock):
    assert make_patience(clock, 0.0).find_pause_s("4") == 4.0


def test_a_longer_wait_than_patience_is_not_begun(clock):
    assert make_patience(clock).find_pause_s("3600") is None


def test_a_date_is_understood(clock):
    later = clock.now().replace(microsecond=0)

    text = later.strftime("%a, %d %b %Y %H:%M:%S GMT")

    assert make_patience(clock, 0.0).find_pause_s(text) == 0.5


@pytest.mark.parametrize("text", ["", "soon", "-1", "Mon, 99 Foo 2026"])
def test_what_is_no_time_is_passed_over(clock, text):
    assert make_patience(clock, 0.0).find_pause_s(text) == 0.5


@pytest.fixture
def clock():
    return FakeClock()
