"""CSV classifiers: what a crawler tries before the built-in ones. Other kinds are refused.

https://docs.aws.amazon.com/glue/latest/dg/custom-classifier.html#custom-classifier-csv
"""

import copy
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from localstack.aws.api import RequestContext, ServiceRequest, ServiceResponse

from sluice_ext.glue import errors
from sluice_ext.glue.common import Operation
from sluice_ext.glue.crawlers.store import CRAWLERS, Store
from sluice_ext.glue.crawlers.worker.texts import CUSTOM_TYPES
from sluice_ext.glue.store import page

_KIND: Final = "CsvClassifier"


def _store(context: RequestContext) -> Store:
    return CRAWLERS.of(context.account_id, context.region)


def _given(request: ServiceRequest) -> dict[str, Any]:
    kinds = [kind for kind, value in request.items() if value]
    if kinds != [_KIND]:
        raise errors.invalid(f"{', '.join(kinds) or 'No classifier'}: this engine has CSV classifiers, one a request.")
    return _checked(copy.deepcopy(dict(request[_KIND])))


def _checked(given: dict[str, Any]) -> dict[str, Any]:
    delimiter, quote = given.get("Delimiter"), given.get("QuoteSymbol")
    for what, value in (("Delimiter", delimiter), ("QuoteSymbol", quote)):
        if value is not None and len(value) != 1:
            raise errors.invalid(f"{what} must be one character.")
    if quote is not None and quote == (delimiter or ","):
        raise errors.invalid("Delimiter and QuoteSymbol must differ.")
    unknown = [kind for kind in given.get("CustomDatatypes") or [] if kind.upper() not in CUSTOM_TYPES]
    if unknown:
        raise errors.invalid(f"Custom datatype {unknown[0]} is not valid: {', '.join(sorted(CUSTOM_TYPES))}")
    return given


def find(store: Store, name: str) -> dict[str, Any]:
    """A classifier. Raises EntityNotFoundException."""
    found = store.classifiers.get(name)
    if found is None:
        raise errors.not_found(f"Classifier {name} not found.")
    return found


def create(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """CreateClassifier."""
    store, given = _store(context), _given(request)
    if given["Name"] in store.classifiers:
        raise errors.exists(f"Classifier with name {given['Name']} already exists")
    now = datetime.now(UTC)
    store.classifiers[given["Name"]] = given | {"CreationTime": now, "LastUpdated": now, "Version": 1}
    return {}


def update(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """UpdateClassifier: what the request does not name stays."""
    store, given = _store(context), _given(request)
    before = find(store, given["Name"])
    changes = {"LastUpdated": datetime.now(UTC), "Version": before["Version"] + 1}
    store.classifiers[given["Name"]] = _checked(before | given) | changes
    return {}


def get(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """GetClassifier."""
    return {"Classifier": _shown(find(_store(context), request["Name"]))}


def get_many(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """GetClassifiers, by name."""
    found, more = page(sorted(_store(context).classifiers.items()), request, 100)
    return {"Classifiers": [_shown(one) for _, one in found]} | more


def delete(context: RequestContext, request: ServiceRequest) -> ServiceResponse:
    """DeleteClassifier."""
    store = _store(context)
    find(store, request["Name"])
    del store.classifiers[request["Name"]]
    return {}


def _shown(given: Mapping[str, Any]) -> dict[str, Any]:
    return {_KIND: dict(given)}


OPERATIONS: Final[dict[str, Operation]] = {
    "CreateClassifier": create,
    "UpdateClassifier": update,
    "GetClassifier": get,
    "GetClassifiers": get_many,
    "DeleteClassifier": delete,
}
