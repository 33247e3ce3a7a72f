"""Examples in an unnamed temporary file that is mapped into memory: five bytes a token on disk, and none of them held in memory."""

import mmap
import tempfile
import weakref
from array import array
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import overload

from modelyard.training.tokens import Example

BYTES_A_TOKEN = 5
"""Four of its id, one that says whether it is learned."""
DIGEST_BYTES = 32


class TokenFile(Sequence[Example]):
    """First all are appended, then they are read in any order."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()
        weakref.finalize(self, self._file.close)
        self._ends = array("q", [0])
        self._digests = bytearray()
        self._truncated = bytearray()

    def append(self, example: Example) -> None:
        """Add an example behind the others."""
        self._file.write(array("i", example.ids).tobytes())
        self._file.write(bytes(example.mask))
        self._ends.append(self._ends[-1] + len(example.ids))
        self._digests += bytes.fromhex(example.digest)
        self._truncated.append(example.truncated)

    def select(self, indices: Iterable[int]) -> "Selection":
        """Some of the examples, in an order of their own."""
        return Selection(self, indices)

    def digest(self, index: int) -> bytes:
        """Of one example, 32 bytes."""
        return bytes(self._digests[index * DIGEST_BYTES : (index + 1) * DIGEST_BYTES])

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | Sequence[Example]:
        if isinstance(index, slice):
            return Selection(self, range(len(self))[index])
        index = range(len(self))[index]
        first, after = self._ends[index], self._ends[index + 1]
        data, ids = self._map[first * BYTES_A_TOKEN : after * BYTES_A_TOKEN], array("i")
        seam = (after - first) * ids.itemsize
        ids.frombytes(data[:seam])
        return Example(tuple(ids), tuple(map(bool, data[seam:])), self.digest(index).hex(), bool(self._truncated[index]))

    def __len__(self) -> int:
        return len(self._truncated)

    @cached_property
    def _map(self) -> mmap.mmap:
        self._file.flush()
        return mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)


class Selection(Sequence[Example]):
    """Some examples of a file."""

    def __init__(self, file: TokenFile, indices: Iterable[int]) -> None:
        self._file, self._indices = file, array("q", indices)

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | Sequence[Example]:
        if isinstance(index, slice):
            return Selection(self._file, self._indices[index])
        return self._file[self._indices[index]]

    def __len__(self) -> int:
        return len(self._indices)
