import io
import json
import logging

import pytest

from app.logs import JsonFormatter
from app.request_context import choose_request_id, request_id


@pytest.fixture
def stream():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("test.logs")
    logger.addHandler(handler)
    logger.propagate = False
    yield stream
    logger.removeHandler(handler)


def test_a_line_is_json_with_the_request_id_and_chosen_fields(stream):
    token = request_id.set("f" * 32)

    logging.getLogger("test.logs").warning("scored", extra={"fields": {"slices": 3}})

    request_id.reset(token)
    line = json.loads(stream.getvalue())
    assert (line["message"], line["slices"], line["request_id"]) == ("scored", 3, "f" * 32)


def test_the_text_of_an_exception_is_not_logged(stream):
    try:
        raise ValueError("PatientName is CANARY^ANNA")
    except ValueError:
        logging.getLogger("test.logs").exception("decoding failed")

    line = stream.getvalue()
    assert "CANARY" not in line
    assert json.loads(line)["error"]["type"] == "ValueError"


@pytest.mark.parametrize("proposed", [None, "", "CANARY^ANNA", "A" * 32, "f" * 31, "f" * 32 + "\n"])
def test_a_request_id_of_another_form_is_not_taken_over(proposed):
    assert choose_request_id(proposed) != proposed


def test_a_request_id_of_our_form_is_taken_over():
    assert choose_request_id("0123456789abcdef" * 2) == "0123456789abcdef" * 2
