"""A pickle read as data: numbers, texts, lists, dictionaries, and records of known names. Nothing is ever called.

`pickle.load` does what the file says: imports, calls, builds. This reader knows the opcodes that carry data and refuses
all others, so a file can at most be refused. A class by a known name becomes a `Record` with the fields that the file
gives; every other name is refused before anything is looked up.

Also read: what `torch.save` wrote of such objects, in its zip format and in the older one, without torch.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from unskew.data.limits import MAX_PICKLE_BYTES, too_large
from unskew.errors import DataError

_TORCH_MAGIC = 0x1950A86A20F9469CFC6C  # the first of the pickles in a file of torch before 1.6
_BEFORE_THE_OBJECT = 3  # magic number, protocol, facts about the machine
_MARK = object()


@dataclass
class Record:
    """An object of a class that is not there: its full name and what the file says of its fields."""

    name: str
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Name:
    """A class, not looked up."""

    name: str


class _Refused(Exception):
    """Why a pickle is not read."""


def read_inert(file: Path, *, records: Collection[str]) -> Any:
    """What a pickle, or a file of `torch.save`, holds.

    Args:
        records: full names of the classes whose objects become records, such as "utils_glue.InputFeatures".
    Raises:
        DataError: it holds anything but data and such records, is damaged, or is too large.
    """
    try:
        fault = too_large(file, MAX_PICKLE_BYTES)
        if fault:
            raise _Refused(fault)
        with open(file, "rb") as stream:
            if zipfile.is_zipfile(file):
                return _Reader(BytesIO(_inside(file)), records).value()
            reader = _Reader(stream, records)
            found = reader.value()
            for _ in range(_BEFORE_THE_OBJECT if found == _TORCH_MAGIC else 0):
                found = reader.value()
            return found
    except _Refused as error:
        why = str(error)
    except (OSError, zipfile.BadZipFile) as error:
        why = f"it cannot be read: {error}"
    except (EOFError, IndexError, KeyError, TypeError, ValueError, struct.error, RecursionError) as error:
        why = f"it is damaged ({type(error).__name__})"
    raise DataError(
        f"{file} was not read: {why}.",
        fix="Only lists of features as group_DRO's scripts save them are read; nothing in a pickle is run.",
    )


def _inside(file: Path) -> bytes:
    with zipfile.ZipFile(file) as archive:
        inner = [info for info in archive.infolist() if info.filename.rpartition("/")[2] == "data.pkl"]
        if len(inner) != 1:
            raise _Refused("the archive holds no data.pkl")
        if inner[0].file_size > MAX_PICKLE_BYTES:
            raise _Refused(f"data.pkl unfolds to {inner[0].file_size:,} bytes; the limit is {MAX_PICKLE_BYTES:,}")
        return archive.read(inner[0])


class _Reader:
    """A stack, a memo, and one small function an opcode (names and meanings: `pickletools`)."""

    def __init__(self, stream: IO[bytes], records: Collection[str]) -> None:
        self.stream, self.records = stream, records
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.known: dict[bytes, Callable[[], None]] = {
            b"\x80": lambda: self._skip(1),  # PROTO
            b"\x95": lambda: self._skip(8),  # FRAME
            b"(": lambda: self.stack.append(_MARK),
            b"N": lambda: self.stack.append(None),
            b"\x88": lambda: self.stack.append(True),
            b"\x89": lambda: self.stack.append(False),
            b"M": lambda: self._number("<H"),
            b"J": lambda: self._number("<i"),
            b"G": lambda: self._number(">d"),
            b"\x8a": lambda: self.stack.append(int.from_bytes(self._bytes("<B"), "little", signed=True)),  # LONG1
            b"X": lambda: self.stack.append(self._bytes("<I").decode()),
            b"\x8c": lambda: self.stack.append(self._bytes("<B").decode()),
            b"C": lambda: self.stack.append(self._bytes("<B")),
            b"B": lambda: self.stack.append(self._bytes("<I")),
            b"U": lambda: self.stack.append(self._bytes("<B").decode("latin-1")),  # texts of Python 2
            b"T": lambda: self.stack.append(self._bytes("<I").decode("latin-1")),
            b"]": lambda: self.stack.append([]),
            b"}": lambda: self.stack.append({}),
            b")": lambda: self.stack.append(()),
            b"t": lambda: self.stack.append(tuple(self._since_mark())),
            b"l": lambda: self.stack.append(self._since_mark()),
            b"\x85": lambda: self._tuple(1),
            b"\x86": lambda: self._tuple(2),
            b"\x87": lambda: self._tuple(3),
            b"a": lambda: self._extend([self._pop()]),
            b"e": lambda: self._extend(self._since_mark()),
            b"s": lambda: self._update([self.stack.pop(-2), self._pop()]),
            b"u": lambda: self._update(self._since_mark()),
            b"q": lambda: self._remember(self._unpacked("<B")),
            b"r": lambda: self._remember(self._unpacked("<I")),
            b"\x94": lambda: self._remember(len(self.memo)),
            b"h": lambda: self.stack.append(self.memo[self._unpacked("<B")]),
            b"j": lambda: self.stack.append(self.memo[self._unpacked("<I")]),
            b"c": lambda: self._name(self._line(), self._line()),  # GLOBAL
            b"\x93": lambda: self._name(self.stack.pop(-2), self._pop()),  # STACK_GLOBAL
            b"\x81": self._new,  # NEWOBJ
            b"b": self._build,
        }

    def value(self) -> Any:
        """The next pickle's value; the memo is each pickle's own."""
        self.stack, self.memo = [], {}
        read, known, push = self.stream.read, self.known, self.stack.append
        while (opcode := read(1)) != b".":
            if opcode == b"K":  # small numbers are nearly all of a file of features: 3 times as fast as a call each
                push(read(1)[0])
                continue
            act = known.get(opcode)
            if act is None:
                raise _Refused("it ends too early" if not opcode else f"it asks to run or build something ({opcode!r})")
            act()
        found = self._pop()
        if self.stack:
            raise ValueError
        return found

    # ---- reading
    def _take(self, n: int) -> bytes:
        found = self.stream.read(n)
        if len(found) != n:
            raise EOFError
        return found

    def _skip(self, n: int) -> None:
        self._take(n)

    def _unpacked(self, how: str) -> Any:
        return struct.unpack(how, self._take(struct.calcsize(how)))[0]

    def _bytes(self, length: str) -> bytes:
        return self._take(self._unpacked(length))

    def _number(self, how: str) -> None:
        self.stack.append(self._unpacked(how))

    def _line(self) -> str:
        return self.stream.readline(1_000).decode().rstrip("\n")

    # ---- the stack
    def _pop(self) -> Any:
        found = self.stack.pop()
        if found is _MARK:
            raise ValueError
        return found

    def _since_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise ValueError
        found = self.stack[at + 1 :]
        del self.stack[at:]
        return found

    def _tuple(self, n: int) -> None:
        found = tuple(self._pop() for _ in range(n))[::-1]
        self.stack.append(found)

    def _extend(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise ValueError
        self.stack[-1].extend(items)

    def _update(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not dict:
            raise ValueError
        self.stack[-1].update(zip(items[::2], items[1::2], strict=True))

    def _remember(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    # ---- names and records
    def _name(self, module: Any, name: Any) -> None:
        full = f"{module}.{name}"
        if full not in self.records:
            raise _Refused(f"it names {full!r}, which is none of {', '.join(sorted(self.records))}")
        self.stack.append(_Name(full))

    def _new(self) -> None:
        arguments, cls = self._pop(), self._pop()
        if not isinstance(cls, _Name) or arguments != ():
            raise _Refused("it builds an object from arguments")
        self.stack.append(Record(cls.name))

    def _build(self) -> None:
        state = self._pop()
        made = self.stack[-1]
        if not isinstance(made, Record) or type(state) is not dict or not all(type(key) is str for key in state):
            raise _Refused("it sets the state of something that is no record")
        made.fields.update(state)
