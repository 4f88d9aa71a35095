"""Function URLs that resolve: http://<engine>/_sluice/url/<region>/<id>/ for https://<id>.lambda-url.<region>.on.aws/.

A host name of its own for each URL would need a name server; the function sees AWS's host and path all the same.
https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
"""

import functools
import re
from typing import Any

from localstack.http import Request, Response
from localstack.services.edge import ROUTER
from localstack.services.lambda_ import urlrouter
from localstack.services.lambda_.invocation.models import lambda_stores
from localstack.services.lambda_.provider import LambdaProvider
from localstack.services.lambda_.urlrouter import FunctionUrlRouter
from werkzeug.datastructures import Headers

from sluice_ext.address import engine_url
from sluice_ext.patching import replace

_PREFIX = "/_sluice/url"


def install() -> None:
    """Replace what makes and serves them; raises UnexpectedEngine when LocalStack is not the version we know."""
    original = LambdaProvider.create_function_url_config

    @functools.wraps(original)
    def create(self: Any, context: Any, function_name: str, *args: Any, **kwargs: Any) -> Any:
        answer = original(self, context, function_name, *args, **kwargs)
        for function in lambda_stores[context.account_id][context.region].functions.values():
            for configuration in function.function_url_configs.values():
                if configuration.url == answer["FunctionUrl"]:
                    address = f"{engine_url()}{_PREFIX}/{context.region}/{configuration.url_id}/"
                    configuration.url = answer["FunctionUrl"] = address
        return answer

    expect = "(self, context, function_name, auth_type, qualifier, cors, invoke_mode, **kwargs)"
    replace(LambdaProvider, "create_function_url_config", create, expect=expect)

    def register(self: Any) -> None:
        if not self.registered:
            self.registered = True
            for rest in ("/", "/<greedy_path:path>"):
                path = f"{_PREFIX}/<region>/<api_id>{rest}"
                ROUTER.add(path, functools.partial(_serve, self), merge_slashes=False)

    def event(api_id: str, request: Request) -> Any:
        found = original_event(api_id, request)
        found["headers"].pop("remote-addr", None)  # where LocalStack looks for the client's address
        return found

    replace(FunctionUrlRouter, "register_routes", register, expect="(self)")
    original_event = replace(urlrouter, "event_for_lambda_url", event, expect="(api_id, request)")


def _serve(router: Any, request: Request, region: str, api_id: str, **_path: str) -> Response:
    found = _configuration(region, api_id)
    if found is not None and found.auth_type == "AWS_IAM" and not _signed(request):
        # https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
        answer = Response.for_json({"Message": "Forbidden"})
        answer.status_code = 403
        answer.headers["x-amzn-ErrorType"] = "AccessDeniedException"
        return answer
    prefix = f"{_PREFIX}/{region}/{api_id}"
    headers = Headers(request.headers)
    headers["Host"] = f"{api_id}.lambda-url.{region}.on.aws"
    headers["Remote-Addr"] = request.remote_addr or ""
    inner = Request(
        method=request.method,
        path=_one_slash(request.path.removeprefix(prefix)),
        raw_path=_one_slash(request.environ["RAW_URI"].partition("?")[0].removeprefix(prefix)),
        query_string=request.query_string.decode("latin-1"),
        headers=headers,
        body=request.get_data(),
    )
    served: Response = router.handle_lambda_url_invocation(inner, api_id=api_id, region=region)
    return served


def _one_slash(path: str) -> str:
    """A URL that ends with a slash and a path that begins with one are joined so; the function sees one slash."""
    return re.sub("/{2,}", "/", path) or "/"


def _configuration(region: str, api_id: str) -> Any:
    for account in list(lambda_stores):
        for function in list(lambda_stores[account][region].functions.values()):
            for configuration in function.function_url_configs.values():
                if configuration.url_id == api_id:
                    return configuration
    return None


def _signed(request: Request) -> bool:
    return request.headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256 ") or "X-Amz-Signature" in request.args
