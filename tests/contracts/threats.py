"""What is tried against the service, and the tests that show what comes of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Threat:
    """One row: what is tried, the bar, the tests of the suite, the long row where there is one."""

    tried: str
    bar: str
    tests: tuple[str, ...]
    row: str = ""


THREATS = (
    Threat(
        "kill -9 in the middle of uploads",
        "nothing acknowledged lost, nothing scored twice, ready under 2 s after the bundle",
        ("journeys/test_kill_the_service.py::test_nothing_acknowledged_is_lost_and_nothing_scored_twice",),
        "kill-uploads",
    ),
    Threat(
        "kill -9 in the middle of a re-scoring job",
        "goes on by itself; every scan scored once, no half-written result",
        ("journeys/test_kill_a_job.py::test_a_killed_job_goes_on_and_scores_every_scan_once",),
        "kill-job",
    ),
    Threat(
        "disk full, watermark",
        "507, reading goes on, nothing corrupt",
        (
            "app/intake/test_routes.py::test_a_full_disk_answers_507_and_reading_goes_on",
            "app/storage/test_blobs.py::test_a_full_disk_is_a_507_and_leaves_nothing",
        ),
    ),
    Threat(
        "database locked or gone, blob store away",
        "503, then goes on without a restart; nothing lost",
        (
            "app/health/test_routes.py::test_a_database_that_is_away_is_told",
            "app/health/test_routes.py::test_a_database_that_hangs_keeps_nobody_waiting",
            "app/intake/test_routes.py::test_a_blob_store_that_is_away_is_a_503_and_comes_back",
            "app/intake/test_routes.py::test_a_disk_lost_while_a_scan_is_decoded_is_not_the_senders_fault",
        ),
        "database, blobs",
    ),
    Threat(
        "ten times what one machine can score",
        "503 with Retry-After, healthz p99 under 100 ms, everything accepted scored",
        ("app/intake/test_routes.py::test_a_full_line_answers_503_and_keeps_nothing",),
        "overload",
    ),
    Threat(
        "bundle missing, edited, or not reproducing its check",
        "readyz 503 with the reason, healthz 200, never a verdict",
        (
            "app/health/test_routes.py::test_without_a_bundle_it_is_alive_not_ready_and_takes_no_scan",
            "app/health/test_routes.py::test_a_bundle_that_was_edited_is_told_by_readyz",
            "models/bundle/test_read.py::test_signed_weights_that_score_otherwise_are_refused",
        ),
    ),
    Threat(
        "the engine's thread ends",
        "readyz 503 within a second",
        ("app/health/test_routes.py::test_a_dead_engine_is_told_within_a_second",),
        "engine",
    ),
    Threat(
        "10,000 scans, then 20 changes of the bundle",
        "memory grows by at most 5 % and 10 %",
        ("app/bundles/test_routes.py::test_bundles_are_swapped_under_load_without_losing_an_upload",),
        "memory",
    ),
    Threat(
        "bombs: deflated, RLE, JPEG, J2K, frames, nesting, floods, gzip, zip, `../`",
        "4xx in under 1 s, at most 64 MiB more in the service",
        (
            "models/decoding/test_bombs.py::test_a_bomb_is_refused_by_name",
            "models/decoding/test_bombs.py::test_a_bomb_does_not_hurt_the_bounded_child",
            "app/intake/test_routes.py::test_hostile_bytes_are_refused_at_once_and_leave_nothing",
        ),
        "hostile",
    ),
    Threat(
        "a preamble that is a program (CVE-2019-11687)",
        "refused",
        ("app/intake/test_strange_scans.py::test_a_preamble_that_is_a_program_is_refused",),
    ),
    Threat(
        "UIDs with `../`, control characters, formulas in exports",
        "dropped, cleaned, quoted",
        (
            "app/intake/test_identity.py::test_only_what_is_a_uid_is_kept_as_one",
            "app/intake/test_identity.py::test_texts_fit_their_columns_and_hold_no_control_characters",
            "app/audit/test_sheets.py::test_no_cell_begins_a_formula",
        ),
    ),
    Threat(
        "SSRF by webhook or OpenID Connect discovery",
        "only configured hosts are called",
        (
            "app/webhooks/test_webhooks.py::test_a_redirect_is_not_followed",
            "app/webhooks/test_webhooks.py::test_an_address_that_was_taken_out_of_the_settings_is_not_called",
            "app/auth/test_oidc.py::test_nothing_is_asked_of_a_host_that_the_settings_do_not_name",
        ),
    ),
    Threat(
        "CSRF, session fixation, wrong role, expired or revoked key",
        "403 or 401, each in the audit trail",
        (
            "app/auth/test_refusals.py::test_no_change_passes_without_the_token_of_its_session",
            "app/auth/test_refusals.py::test_a_session_fixed_before_the_login_is_worth_nothing_after",
            "app/auth/test_refusals.py::test_a_sender_changes_nothing_and_each_try_is_written_down",
            "app/auth/test_refusals.py::test_an_expired_key_is_refused_and_written_down",
            "app/auth/test_refusals.py::test_a_revoked_key_is_refused_and_written_down",
        ),
    ),
    Threat(
        "weights as pickle, a bundle edited after publishing",
        "refused",
        (
            "models/bundle/test_read.py::test_another_kind_of_file_is_refused_though_its_digest_is_right",
            "models/bundle/test_read.py::test_an_edited_file_is_refused",
            "app/bundles/test_routes.py::test_a_spoilt_bundle_is_refused_and_nothing_changes",
        ),
    ),
    Threat(
        "a patient through every path",
        "no trace in logs, metrics, error bodies, headers, webhooks, audit, file names",
        ("journeys/test_canary.py::test_no_trace_of_a_patient_where_none_may_be",),
    ),
    Threat(
        "wrong modality, colour, blank, noise, 1 x 1, 1 x 10000, NaN, 12-bit, signed, MONOCHROME1",
        "decoded right, or indeterminate with a reason; never typical",
        (
            "app/intake/test_strange_scans.py::test_what_the_bundle_does_not_know_is_indeterminate_with_a_reason",
            "app/intake/test_strange_scans.py::test_the_pixels_that_come_back_are_those_of_the_picture",
            "models/test_detector.py::test_random_scans_of_any_shape_are_never_typical",
        ),
    ),
    Threat(
        "requests drawn from the OpenAPI document; bytes drawn for the decoders",
        "no server error, no answer that the document does not tell, no crash",
        (
            "app/test_api_fuzz.py::test_every_answer_to_drawn_requests_is_told_by_the_document",
            "models/decoding/test_hostile_bytes.py::test_changed_bytes_raise_nothing_else",
        ),
        "requests",
    ),
    Threat(
        "broken STOW messages and associations, minute after minute",
        "no crash, no server error, no growth of memory, open files or threads",
        (
            "app/dicom/test_broken_dicom.py::test_broken_messages_are_never_a_server_error",
            "app/dicom/test_broken_dicom.py::test_broken_associations_leave_nothing_behind",
        ),
        "dicom",
    ),
)  # fmt: skip
