"""Python's pickles of the engine's stores: all of them in one stream, so that what they share stays shared.

LocalStack's own encoder (localstack.state.pickle) is written in Python and takes twenty times as long. This one is the
standard library's, with reducers for what a store holds besides data: locks are restored free, threads and clients not
at all, and functions without a name (a default of a defaultdict) by value, with dill.
"""

import _thread
import importlib
import io
import pickle
import queue
import sys
import threading
import types
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from typing import Any

import dill
from botocore.client import BaseClient
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

Reducer = Callable[[Any], Any]
_REDUCERS: dict[type, Reducer] = {}


class NotSavable(RuntimeError):
    """A value cannot be pickled. ``name`` is the value's name; the message says what is wrong."""

    def __init__(self, name: str, error: Exception) -> None:
        super().__init__(f"{name}: {type(error).__name__}: {error}")
        self.name = name


def reducer(kind: type) -> Callable[[Reducer], Reducer]:
    """Register how objects of exactly this type are reduced (see `object.__reduce__`)."""

    def register(reduce: Reducer) -> Reducer:
        _REDUCERS[kind] = reduce
        return reduce

    return register


class Pickler(pickle.Pickler):
    """Writes ``roots`` (name -> object) by their name wherever they occur."""

    def __init__(self, file: io.BytesIO, roots: Mapping[str, Any]) -> None:
        super().__init__(file, protocol=5)
        self._roots = {id(root): name for name, root in roots.items()}

    def persistent_id(self, obj: Any) -> str | None:
        return self._roots.get(id(obj))

    def reducer_override(self, obj: Any) -> Any:
        found = _REDUCERS.get(type(obj))
        if found is not None:
            return found(obj)
        if isinstance(obj, types.FunctionType | type) and not _has_name(obj):
            return _from_dill, (dill.dumps(obj, recurse=True),)
        if isinstance(obj, PrivateKeyTypes):
            return _private_key, (obj.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),)
        if isinstance(obj, PublicKeyTypes):
            return serialization.load_der_public_key, (
                obj.public_bytes(Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
            )
        if isinstance(obj, threading.Thread | Executor | BaseClient | weakref.ReferenceType):
            return _nothing, ()
        return NotImplemented


class Unpickler(pickle.Unpickler):
    """Puts the present ``roots`` where their names are."""

    def __init__(self, file: io.BytesIO, roots: Mapping[str, Any]) -> None:
        super().__init__(file)
        self._roots = roots

    def persistent_load(self, pid: str) -> Any:
        return self._roots[pid]


def dumps(values: Iterable[tuple[str, Any]], roots: Mapping[str, Any]) -> bytes:
    """Pickle (name, value) pairs. Raises NotSavable, which says in which of them."""
    file = io.BytesIO()
    pickler = Pickler(file, roots)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # itertools.count
        for name, value in values:
            try:
                pickler.dump((name, value))
            except Exception as error:
                raise NotSavable(name, error) from error
    return file.getvalue()


def loads(data: bytes, roots: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """What `dumps` was given."""
    file = io.BytesIO(data)
    unpickler = Unpickler(file, roots)
    values = []
    while file.tell() < len(data):
        values.append(unpickler.load())
    return values


def _has_name(obj: Any) -> bool:
    found: Any = sys.modules.get(obj.__module__ or "")
    for name in obj.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is obj


def _nothing() -> None:
    return None


def _private_key(data: bytes) -> PrivateKeyTypes:
    return serialization.load_der_private_key(data, None)


def _from_dill(data: bytes) -> Any:
    return dill.loads(data)


def _condition(lock: Any) -> threading.Condition:
    return threading.Condition(lock)


@reducer(type(threading.Lock()))
def _lock(_lock: Any) -> Any:
    return _thread.allocate_lock, ()


@reducer(type(threading.RLock()))
def _rlock(_lock: Any) -> Any:
    return threading.RLock, ()


@reducer(threading.Condition)
def _reduce_condition(condition: Any) -> Any:
    # Without the threads that wait for it.
    return _condition, (condition._lock,)


@reducer(types.ModuleType)
def _module(module: Any) -> Any:
    return importlib.import_module, (module.__name__,)


@reducer(queue.SimpleQueue)
def _simple_queue(_queue: Any) -> Any:
    return queue.SimpleQueue, ()
