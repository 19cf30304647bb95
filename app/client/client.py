"""The REST API as methods: typed answers, typed errors, tries that go on while the service is busy.

    access = read_access("https://aegle.example.org", os.environ, allows_http=False)
    with AegleClient(access) as client:
        receipt = client.send_scan(Upload((Path("scan.dcm"),)), wait_s=30)

Answers are the service's own schemas. A client may be shared between threads.
"""

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import httpx2

from app.auth.schemas import Caller
from app.batch.schemas import FlipList, FlipView, JobView, RescoreBody
from app.batch.states import ENDED
from app.bundles.schemas import BundleList
from app.cases.schemas import CaseDetail
from app.client.access import ServiceAccess
from app.client.errors import FileChanged, Halted, ServiceUnreachable
from app.client.exchange import Exchange, TellPause, choose_timeout, read_document
from app.client.patience import BRIEF, RetryRules
from app.client.upload import Upload, UploadBody
from app.errors import EngineError, StorageError, TooManyRequests
from app.intake.schemas import Receipt
from models.errors import AegleError

API = "/api/v1"
_POLL_S = 0.2
_MOST_POLL_S = 2.0
_PAGE = 200


class AegleClient:
    """Speaks to one service with one key, over as many connections as threads call it."""

    def __init__(
        self,
        access: ServiceAccess,
        *,
        rules: RetryRules | None = None,
        tell_pause: TellPause | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        """Open no connection yet.

        Args:
            access: address and key.
            rules: how long requests are tried.
            tell_pause: called with the reason and the seconds before each pause between tries.
            transport: stands in for the network in tests.
        """
        self.access = access
        self._exchange = Exchange(
            access, rules or RetryRules(), tell_pause or _tell_nobody, transport
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._exchange.http.close()

    def halt(self) -> None:
        """Let every call that waits or sends end soon, with `Halted`; for good."""
        self._exchange.halt.set()

    @property
    def is_halted(self) -> bool:
        """Whether it was halted."""
        return self._exchange.halt.is_set()

    def fetch_caller(self) -> Caller:
        """Ask whose key this is and what it may; soon tells when nothing answers.

        Raises:
            AegleError: the service cannot be asked, or does not know the key.
        """
        return self._exchange.fetch(f"{API}/session", Caller, rules=BRIEF)

    def send_scan(
        self,
        upload: Upload,
        *,
        wait_s: float = 0.0,
        tell_bytes: Callable[[int], None] | None = None,
    ) -> Receipt:
        """Hand in a file, or the files of a series; what the receipt names is on disk there.

        Args:
            upload: the files, and what is said beside them.
            wait_s: seconds that the service may take to answer with the finding.
            tell_bytes: called with the bytes that went out, negative where a try is repeated.

        Raises:
            DecodeError: the service cannot read it.
            StorageFull: it has no room; trying again would not help.
            OSError: a file cannot be read.
            AegleError: whatever else the service refused, or kept it from being asked.
        """
        tell = tell_bytes or _count_nothing
        tries: list[UploadBody] = []

        def count(size: int) -> None:
            if self._exchange.halt.is_set():
                raise Halted
            tell(size)

        def build() -> httpx2.Request:
            if tries:
                tell(-tries[-1].sent_bytes)
            body = UploadBody(upload, count)
            tries.append(body)
            return self._exchange.http.build_request(
                "POST",
                f"{API}/scans",
                params={"wait": wait_s} if wait_s else None,
                headers=body.headers,
                content=body,
                timeout=choose_timeout(wait_s),
            )

        patience = self._exchange.begin_patience()
        receipt = self._exchange.ask(build, Receipt, patience=patience)
        if receipt.sha256 != tries[-1].sha256:
            raise FileChanged("what the service received differs from what was read")
        return receipt

    def fetch_receipt(self, upload_id: UUID) -> Receipt:
        """Ask what came of an upload."""
        return self._exchange.fetch(f"{API}/scans/{upload_id}", Receipt)

    def await_receipt(self, upload_id: UUID) -> Receipt:
        """Ask until every case of an upload is scored or set aside."""
        pause_s = _POLL_S
        while not (receipt := self.fetch_receipt(upload_id)).is_done:
            self._exchange.sleep(pause_s)
            pause_s = min(_MOST_POLL_S, 1.5 * pause_s)
        return receipt

    def fetch_case(self, case_id: UUID) -> CaseDetail:
        """Ask for a case with its files and its finding."""
        return self._exchange.fetch(f"{API}/cases/{case_id}", CaseDetail)

    def fetch_bundles(self) -> BundleList:
        """Ask which bundles the service knows."""
        return self._exchange.fetch(f"{API}/bundles", BundleList)

    def start_rescoring(self, body: RescoreBody) -> JobView:
        """Have stored cases scored again; a lost answer is not tried again, as it may have begun.

        Raises:
            BundleNotRegistered: the service does not know the bundle.
            AegleError: the service refused, or did not answer.
        """
        said = body.model_dump(mode="json", exclude_none=True)
        return self._exchange.order(f"{API}/jobs/rescore", JobView, said)

    def fetch_job(self, job_id: UUID) -> JobView:
        """Ask how far a job is."""
        return self._exchange.fetch(f"{API}/jobs/{job_id}", JobView)

    def cancel_job(self, job_id: UUID) -> JobView:
        """Ask a job to end; what it has kept stays.

        Raises:
            MoveNotAllowed: it has ended already.
            AegleError: the service refused, or did not answer.
        """
        return self._exchange.order(f"{API}/jobs/{job_id}/cancel", JobView, None)

    def list_flips(self, job_id: UUID) -> Iterator[FlipView]:
        """Give the cases whose verdict a job changes, page by page."""
        params: dict[str, Any] = {"limit": _PAGE}
        while True:
            page = self._exchange.fetch(f"{API}/jobs/{job_id}/flips", FlipList, params=params)
            yield from page.items
            if page.next_cursor is None:
                return
            params["cursor"] = page.next_cursor

    def follow_job(self, job_id: UUID) -> Iterator[JobView]:
        """Give a job at each change until it has ended; a stream that breaks is opened again.

        Raises:
            AegleError: the service refused, or was away longer than patience lasts.
        """
        last_event, patience = "", self._exchange.begin_patience()
        while True:
            try:
                with self._exchange.listen(f"{API}/jobs/{job_id}/events", last_event) as events:
                    for event in events:
                        if event.event != "job":
                            continue
                        last_event, patience = event.id, self._exchange.begin_patience()
                        job = read_document(event.data, JobView)
                        yield job
                        if job.status in ENDED:
                            return
                reason: AegleError = ServiceUnreachable("the service ended the stream")
            except (ServiceUnreachable, EngineError, StorageError, TooManyRequests) as error:
                reason = error
            self._exchange.pause(patience, reason)


def _tell_nobody(reason: AegleError, pause_s: float) -> None:
    pass


def _count_nothing(size: int) -> None:
    pass
