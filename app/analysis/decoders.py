"""Bounded decoders: several child processes, each lent to one scan at a time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

from models.decoding.limits import DecodeLimits
from models.decoding.scan import DecodedScan
from models.decoding.worker import BoundedDecoder


class Decoders:
    """A pool of decoders; a caller waits until one is free."""

    def __init__(self, limits: DecodeLimits, count: int) -> None:
        self._all = [BoundedDecoder(limits) for _ in range(count)]
        self._free: SimpleQueue[BoundedDecoder] = SimpleQueue()
        for decoder in self._all:
            self._free.put(decoder)

    @contextmanager
    def lend(self) -> Iterator[BoundedDecoder]:
        """Lend a decoder for as long as the block lasts."""
        decoder = self._free.get()
        try:
            yield decoder
        finally:
            self._free.put(decoder)

    def decode(self, files: Sequence[Path | bytes]) -> DecodedScan:
        """Decode the files of one scan.

        Raises:
            DecodeError: they give no scan.
        """
        with self.lend() as decoder:
            return decode_files(decoder, files)

    def close(self) -> None:
        """End the child processes."""
        for decoder in self._all:
            decoder.close()


def decode_files(decoder: BoundedDecoder, files: Sequence[Path | bytes]) -> DecodedScan:
    """Decode one file as it is, or several as the slices of one volume.

    Raises:
        DecodeError: they give no scan.
    """
    return decoder.decode(files[0] if len(files) == 1 else list(files))
