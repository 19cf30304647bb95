"""The row that sends broken STOW messages and broken associations, minute after minute."""

import threading
import time

from tests.builders.dicom_fuzz import DimseFuzz, FuzzTally, StowFuzz
from tests.builders.processes import AegleProcess, ListenerProcess, ServiceProcess
from tests.stress.verdict import Bar, Order, Outcome

ROUND_S = 60.0
WARM_UP_S = 30.0
SETTLE_S = 20.0
MOST_GROWTH = 1.10
MOST_MORE = 2
ASSOCIATIONS = 8


class _Sender(threading.Thread):
    """One peer that sends broken things until told to end."""

    def __init__(self, fuzz: StowFuzz | DimseFuzz) -> None:
        super().__init__(daemon=True)
        self.fuzz = fuzz
        self.tally = FuzzTally()
        self.is_over = False

    def run(self) -> None:
        """Send until it is over."""
        while not self.is_over:
            self.fuzz.try_once(self.tally)


def send_broken_dicom(order: Order) -> Outcome:
    """Send broken bytes for a minute a round by two connections and two associations."""
    folder = order.folder / "data"
    options = {"dicom_quiet_s": 86_400, "key_rate_per_minute": 10_000_000}
    with (
        ServiceProcess(folder, order.bundle, **options) as service,
        ListenerProcess(folder, dicom_associations=ASSOCIATIONS, **options) as listener,
    ):
        service.await_ready()
        with service.open_client() as client, service.open_client() as other:
            fuzzes = [StowFuzz(client, 1), StowFuzz(other, 2)]
            senders = [_Sender(fuzz) for fuzz in fuzzes]
            senders += [_Sender(DimseFuzz(listener.port, seed)) for seed in (3, 4)]
            before = _send(senders, order, (service, listener))
            time.sleep(SETTLE_S)
            after = [_measure(process) for process in (service, listener)]
            acknowledged = [uid for sender in senders for uid in sender.tally.acknowledged]
            found = sum(
                bool(client.get("/dicom-web/instances", params={"SOPInstanceUID": uid}).json())
                for uid in acknowledged
            )
        faults = [fault for sender in senders for fault in sender.tally.faults]
        faults += [f"{sender.fuzz} ended" for sender in senders if not sender.is_over]
        faults += [
            f"{process.command} ended" for process in (service, listener) if not process.is_running
        ]
        answers = sum((sender.tally.answers for sender in senders), FuzzTally().answers)
    bars = []
    for name, start, end in zip(("service", "listener"), before, after, strict=True):
        bars += [
            Bar(f"{name}: memory", end[0] / start[0], MOST_GROWTH, "times"),
            Bar(f"{name}: more open files", end[1] - start[1], MOST_MORE),
            Bar(f"{name}: more threads", end[2] - start[2], MOST_MORE),
        ]
    told = ", ".join(f"{name} {count}" for name, count in sorted(answers.items()))
    return Outcome(
        f"broken DICOM ({sum(answers.values())} tries: {told})",
        order.rounds,
        acknowledged=len(acknowledged),
        found=found,
        lost=len(acknowledged) - found,
        bars=bars,
        faults=faults,
    )


def _send(
    senders: list[_Sender], order: Order, processes: tuple[AegleProcess, ...]
) -> list[tuple[int, int, int]]:
    """Send for as many minutes as there are rounds, and give what was measured after warming up."""
    for sender in senders:
        sender.start()
    time.sleep(WARM_UP_S)
    measured = [_measure(process) for process in processes]
    for _ in range(order.rounds):
        time.sleep(ROUND_S)
        order.advance()
    for sender in senders:
        sender.is_over = sender.is_alive()  # one that ended by itself is a fault
    for sender in senders:
        sender.join(SETTLE_S)
    return measured


def _measure(process: AegleProcess) -> tuple[int, int, int]:
    return process.measure_memory(), process.count_files(), process.count_threads()
