# What API Gateway answers itself, in the shape of the function's errors (lambdas/api/answers.py):
# https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html

locals {
  responses = {
    INVALID_API_KEY              = { status = "403", type = "Forbidden", suggestion = "send a valid key in the header x-api-key" }
    MISSING_AUTHENTICATION_TOKEN = { status = "404", type = "NotFound", suggestion = "GET /openapi.json lists all" }
    REQUEST_TOO_LARGE            = { status = "413", type = "RequestTooLarge", suggestion = "send less" }
    THROTTLED                    = { status = "429", type = "TooManyRequests", suggestion = "send fewer requests at a time, and try again in a second" }
    QUOTA_EXCEEDED               = { status = "429", type = "QuotaExceeded", suggestion = "wait for the next period, or ask for a larger quota" }
    INTEGRATION_TIMEOUT          = { status = "504", type = "Timeout", suggestion = "ask with POST /analytics/jobs, which has more time" }
    DEFAULT_4XX                  = { status = null, type = "BadRequest", suggestion = "GET /openapi.json says what can be asked" }
    DEFAULT_5XX                  = { status = null, type = "InternalError", suggestion = "try again in a minute" }
  }
}

resource "aws_api_gateway_gateway_response" "this" {
  for_each = local.responses

  rest_api_id   = aws_api_gateway_rest_api.this.id
  response_type = each.key
  status_code   = each.value.status

  # messageString comes with its quotes.
  response_templates = {
    "application/json" = "{\"success\": false, \"error\": {\"message\": $context.error.messageString, \"type\": \"${each.value.type}\"}, \"suggestions\": [\"${each.value.suggestion}\"]}"
  }

  # A template has no lists: pages of the second and further origins cannot read these.
  response_parameters = length(var.cors_origins) == 0 ? {} : {
    "gatewayresponse.header.Access-Control-Allow-Origin" = "'${var.cors_origins[0]}'"
  }
}
