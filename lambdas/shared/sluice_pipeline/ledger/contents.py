"""Which object has a content under its key: the same bytes uploaded again may have another ETag.

S3 makes the ETag of the encryption (SSE-KMS) and of the parts of an upload, not of the bytes alone:
https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html

Three kinds of items, none in an index:

- ``pk`` = ``content#<content id>``, ``sk`` = ``content``: ``object_id`` was planned with this content.
- ``pk`` = ``object#<object id>``, ``sk`` = ``object`` with ``same_as``, a pointer: the rows of this upload are those of
  the object ``same_as``. It has no chunks, no rows and no state.
- ``pk`` = ``object#<same_as>``, ``sk`` = ``upload#<object id>``: there is a pointer to it, which expires with it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict
from typing import Any, Final

from sluice_pipeline.ledger.items import OBJECT_SK, is_gone, object_pk
from sluice_pipeline.objects.identity import Origin
from sluice_pipeline.runtime.clock import now

CONTENT_SK: Final = "content"
SAME_AS: Final = "same_as"
UPLOAD: Final = "upload#"


def content_pk(content_id: str) -> str:
    return f"content#{content_id}"


def content_item(content_id: str, object_id: str) -> dict[str, Any]:
    """The item that names the object of a content."""
    return {"pk": content_pk(content_id), "sk": CONTENT_SK, "object_id": object_id}


def pointer_item(origin: Origin, same_as: str) -> dict[str, Any]:
    """The item of an upload whose content the object ``same_as`` has."""
    return {
        "pk": object_pk(origin.object_id),
        "sk": OBJECT_SK,
        "object_id": origin.object_id,
        SAME_AS: same_as,
        "chunk_count": 0,
        "origin": asdict(origin),
        "seen_at": now(),
    }


def upload_item(object_id: str, same_as: str) -> dict[str, Any]:
    """The item by which the object ``same_as`` knows of a pointer to it."""
    return {"pk": object_pk(same_as), "sk": f"{UPLOAD}{object_id}"}


def followed[Item: Mapping[str, Any]](
    object_ids: Iterable[str], read: Callable[[Collection[str]], Mapping[str, Item]]
) -> dict[str, Item]:
    """The objects that these ids stand for, by the ids asked for; those that the ledger does not know are left out,
    and those that have expired.

    ``read`` gives the items of ids as they are. A pointer leads to an object with a plan. Where the ledger has
    forgotten that one, its id may have become a pointer itself, so that there can be several; none leads back.
    """

    def present(names: Collection[str]) -> dict[str, Item]:
        return {name: item for name, item in read(names).items() if not is_gone(item)}

    leads = {name: name for name in object_ids}
    found = present(list(leads))
    while moved := {name: str(found[at][SAME_AS]) for name, at in leads.items() if SAME_AS in found.get(at, ())}:
        leads |= moved
        found |= present([name for name in dict.fromkeys(moved.values()) if name not in found])
    return {name: found[at] for name, at in leads.items() if at in found}
