"""An S3 object that is not read takes little memory: the pipeline makes three for each that it is given.

Replaced: `get_canned_acl`, so that equal access control lists are one object (a provider assigns lists and never
changes one), and the locks of a file, which are made when it is opened. Both were two thirds of an object at rest.
"""

import itertools
import threading
import weakref
from collections.abc import Callable
from typing import Any

from localstack.services.s3 import provider
from localstack.services.s3.storage import ephemeral

from sluice_ext.patching import UnexpectedEngine, replace

_lock = threading.Lock()
_lists: dict[tuple[str, str], Any] = {}  # canned list and owner: a handful
_NUMBER, _numbers = "sluice_number", itertools.count()


class WhileUsed:
    """An attribute that every user gets the same of, and that is gone when the last one has let go of it."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._used: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()

    def __get__(self, instance: Any, _owner: type) -> Any:
        with _lock:
            # Not by the instance's address, which another one has later.
            number = instance.__dict__.get(_NUMBER)
            if number is None:
                number = instance.__dict__[_NUMBER] = next(_numbers)
            found = self._used.get(number)
            if found is None:
                found = self._used[number] = self._make()
            return found

    def __set__(self, _instance: Any, _value: Any) -> None:
        """The mixin's constructor sets one; it is not needed yet."""


class KeyLocks(weakref.WeakValueDictionary[str, Any]):
    """A bucket's locks of keys that are written on a condition; LocalStack has one for each such key, for ever."""

    def __getitem__(self, key: str) -> Any:
        with _lock:
            found = self.get(key)
            if found is None:
                found = self[key] = threading.RLock()
            return found


def install() -> None:
    """Replace them; raises UnexpectedEngine when LocalStack is not the version we know."""

    def shared(canned_acl: Any, owner: Any) -> Any:
        if set(owner) != {"ID"}:
            return original(canned_acl, owner)
        known = (str(canned_acl), owner["ID"])
        if known not in _lists:
            _lists[known] = original(canned_acl, owner)
        return _lists[known]

    original = replace(provider, "get_canned_acl", shared, expect="(canned_acl, owner)")
    with ephemeral.LockedSpooledTemporaryFile() as file:
        known = vars(file).keys()
    for name, make in (("position_lock", threading.RLock), ("readwrite_lock", ephemeral.rwlock.RWLockWrite)):
        if name not in known:
            raise UnexpectedEngine(f"an S3 file has no {name}; this extension needs localstack-core 4.14.0")
        setattr(ephemeral.LockedFileMixin, name, WhileUsed(make))
