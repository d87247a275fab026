"""Values and arrays of C types in shared memory: `Value`, `Array`, and both without a lock.

As in `multiprocessing.sharedctypes`, whose classes ours are derived from. What is better: an object may be
sent to a process that already runs, through a connection or a queue; its memory is never given to another
object while any process has it; its lock comes free when its holder is killed; and a large array costs
nothing before it is filled.
"""

from __future__ import annotations

import copyreg
import ctypes
import operator
import weakref
from collections.abc import Callable, Sequence
from multiprocessing import sharedctypes as _standard
from multiprocessing.reduction import ForkingPickler

from .toolkit.arena import Arena, Block, allocate

TYPE_CHECKING = False  # what type checkers take for true; importing typing would cost 3 ms in every child
if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "Array",
    "RawArray",
    "RawValue",
    "Synchronized",
    "SynchronizedArray",
    "SynchronizedBase",
    "SynchronizedString",
    "Value",
    "copy",
    "synchronized",
]

typecode_to_type: dict[str, Any] = _standard.typecode_to_type  # type: ignore[attr-defined]
class_cache: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
"""The classes that `synchronized` has made for structures."""


def RawValue(typecode_or_type: Any, *args: Any) -> Any:  # noqa: N802 - multiprocessing's name
    """A ctypes object in shared memory, without a lock.

    `typecode_or_type` is a class of ctypes or a letter of the module `array`, and `args` are the class's
    own. Raises OSError at the system's limits, and what the class raises. Blocks: never.
    """
    obj = _new_value(typecode_to_type.get(typecode_or_type, typecode_or_type))
    obj.__init__(*args)
    return obj


def RawArray(  # noqa: N802 - multiprocessing's name
    typecode_or_type: Any, size_or_initializer: int | Sequence[Any]
) -> Any:
    """A ctypes array in shared memory, without a lock: so many elements, all zero, or those of a sequence.

    Memory is taken as it is written, page by page. Raises OSError at the system's limits and for more than
    the machine's memory can hold, ValueError for a negative size, and what the class raises. Blocks: never.
    """
    cls = typecode_to_type.get(typecode_or_type, typecode_or_type)
    if isinstance(size_or_initializer, int):
        return _new_value(cls * size_or_initializer)
    obj = _new_value(cls * len(size_or_initializer))
    obj.__init__(*size_or_initializer)
    return obj


def Value(  # noqa: N802 - multiprocessing's name
    typecode_or_type: Any,
    *args: Any,
    lock: Any = True,
    ctx: Any = None,
    name: str | None = None,
    backend: str | None = None,
) -> Any:
    """A ctypes object in shared memory, whose attributes are read and set under a lock.

    The lock is a new RLock of `ctx`, by default of the default context, with its `name` and `backend`; or
    the given one; False for none, which makes it a `RawValue`. Raises as `RawValue` does, and AttributeError
    when `lock` is no lock. An access blocks while another process holds the lock; when that one is killed it
    goes on within 0.1 s, with an `OwnerDiedWarning`.
    """
    return _with_lock(RawValue(typecode_or_type, *args), lock, ctx, name, backend)


def Array(  # noqa: N802 - multiprocessing's name
    typecode_or_type: Any,
    size_or_initializer: int | Sequence[Any],
    *,
    lock: Any = True,
    ctx: Any = None,
    name: str | None = None,
    backend: str | None = None,
) -> Any:
    """A ctypes array in shared memory, whose elements and slices are read and set under a lock.

    See `RawArray` for the elements and `Value` for the lock.
    """
    return _with_lock(RawArray(typecode_or_type, size_or_initializer), lock, ctx, name, backend)


def copy(obj: Any) -> Any:
    """A new object in shared memory, without a lock, with the bytes of this ctypes object."""
    made = _new_value(type(obj))
    ctypes.pointer(made)[0] = obj
    return made


def synchronized(obj: Any, lock: Any = None, ctx: Any = None) -> Any:
    """A wrapper of a ctypes object that reads and sets its attributes under a lock; see `Value`."""
    assert not isinstance(obj, _standard.SynchronizedBase), "object already synchronized"
    if isinstance(obj, ctypes._SimpleCData):
        return Synchronized(obj, lock, ctx)
    if isinstance(obj, ctypes.Array):
        kind = SynchronizedString if obj._type_ is ctypes.c_char else SynchronizedArray
        return kind(obj, lock, ctx)
    cls = type(obj)
    if cls not in class_cache:
        members = {
            field[0]: _member(field[0]) for base in cls.__mro__ for field in vars(base).get("_fields_", ())
        }
        class_cache[cls] = type(f"Synchronized{cls.__name__}", (SynchronizedBase,), members)
    return class_cache[cls](obj, lock, ctx)


def _with_lock(obj: Any, lock: Any, ctx: Any, name: str | None, backend: str | None) -> Any:
    options = {key: value for key, value in {"name": name, "backend": backend}.items() if value is not None}
    if lock in (True, None):
        lock = (ctx or _default_context()).RLock(**options)
    elif options:
        raise ValueError(f"{' and '.join(options)} would be of the lock, and with lock={lock!r} none is made")
    if lock is False:
        return obj
    if not hasattr(lock, "acquire"):
        raise AttributeError(f"{lock!r} has no method 'acquire'")
    return synchronized(obj, lock, ctx)


def _default_context() -> Any:
    from .context import default_context

    return default_context()


# --- ctypes objects in shared memory, and their pickles ---


def _new_value(cls: Any) -> Any:
    return _on_block(cls, allocate(ctypes.sizeof(cls)))


def _on_block(cls: Any, block: Block) -> Any:
    """The object of this class that lies there. It keeps the block, under multiprocessing's name for that."""
    ForkingPickler.register(cls, _reduce)
    obj = cls.from_buffer(block.arena.map, block.at)
    obj._wrapper = block
    return obj


def _reduce(obj: Any) -> Any:
    """The reducer of all classes of which there was an object in shared memory; not every object is one."""
    keeper = getattr(obj, "_wrapper", None)
    if keeper is None:
        by_value = copyreg.dispatch_table.get(type(obj))
        return obj.__reduce_ex__(4) if by_value is None else by_value(obj)
    if obj._b_needsfree_:  # `copy.copy` of one: its bytes are its own
        return type(obj).from_buffer_copy(obj).__reduce_ex__(4)
    if not isinstance(keeper, Block):
        return _standard.reduce_ctype(obj)  # type: ignore[attr-defined]
    return _rebuild, _parts(obj, keeper)


def _parts(obj: Any, block: Block) -> tuple[Any, ...]:
    # The class of an array has no name to be pickled by, but for one that was derived from it.
    cls: Any = type(obj)
    lengths = []
    while issubclass(cls, ctypes.Array) and cls._type_ * cls._length_ is cls:
        lengths.append(cls._length_)
        cls = cls._type_
    return cls, lengths, block.arena, block.at


def _rebuild(cls: Any, lengths: list[int], arena: Arena, at: int) -> Any:
    for length in reversed(lengths):
        cls = cls * length
    return _on_block(cls, Block(arena, at, ctypes.sizeof(cls)))


def _rebuild_synchronized(lock: Any, *parts: Any) -> Any:
    return synchronized(_rebuild(*parts), lock)


# --- the wrappers ---


class SynchronizedBase(_standard.SynchronizedBase):  # type: ignore[type-arg]
    """A ctypes object and its lock. It may be sent to any process, in any way."""

    def __init__(self, obj: Any, lock: Any = None, ctx: Any = None) -> None:
        self._obj = obj
        self._lock = lock or (ctx or _default_context()).RLock()
        self.acquire = self._lock.acquire
        self.release = self._lock.release

    def _locked(self, operation: Callable[..., Any], *args: Any) -> Any:
        """Do it under the lock, which is released however that ends."""
        self.acquire()
        try:
            return operation(self._obj, *args)
        finally:
            try:
                self.release()
            except BaseException:
                # Of a signal handler. Our locks' release has then done all, or nothing and can be repeated.
                is_mine = getattr(self._lock, "_is_mine", None)
                if is_mine is not None and is_mine():
                    self.release()
                raise

    def __reduce__(self) -> tuple[Any, ...]:
        block = getattr(self._obj, "_wrapper", None)
        if isinstance(block, Block) and not self._obj._b_needsfree_:
            return _rebuild_synchronized, (self._lock, *_parts(self._obj, block))
        return synchronized, (self._obj, self._lock)


def _member(name: str) -> property:
    """An attribute of the ctypes object, under the lock."""

    def get(self: SynchronizedBase) -> Any:
        return self._locked(getattr, name)

    def put(self: SynchronizedBase, value: Any) -> None:
        self._locked(setattr, name, value)

    return property(get, put)


class Synchronized(SynchronizedBase, _standard.Synchronized):  # type: ignore[type-arg]
    """A simple ctypes object and its lock."""

    value = _member("value")


class SynchronizedArray(SynchronizedBase, _standard.SynchronizedArray):  # type: ignore[type-arg]
    """A ctypes array and its lock. Iteration takes the lock for each element; ``array[:]`` takes it once."""

    def __getitem__(self, i: Any) -> Any:
        return self._locked(operator.getitem, i)

    def __setitem__(self, i: Any, value: Any) -> None:
        self._locked(operator.setitem, i, value)


class SynchronizedString(SynchronizedArray, _standard.SynchronizedString):
    """An array of characters and its lock."""

    value = _member("value")
    raw = _member("raw")
