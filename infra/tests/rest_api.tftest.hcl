# The REST API in front of a function.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name        = "sluice-test-api"
  description = "An API"
  function = {
    name       = "sluice-test-api"
    invoke_arn = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/arn:aws:lambda:us-east-1:123456789012:function:sluice-test-api/invocations"
  }
  open_paths   = ["health"]
  keys         = ["one", "two"]
  throttle     = { rate = 20, burst = 40 }
  key_throttle = { rate = 5, burst = 10 }
}

run "everything_but_the_open_paths_and_preflights_wants_a_key" {
  module {
    source = "./modules/rest_api"
  }

  assert {
    condition = { for name, method in aws_api_gateway_method.this : name => method.api_key_required } == {
      "health ANY"    = false
      "proxy ANY"     = true
      "proxy OPTIONS" = false
    }
    error_message = "only what is open, and what browsers ask before they send a key, may go without one"
  }

  assert {
    condition     = alltrue([for integration in aws_api_gateway_integration.this : integration.type == "AWS_PROXY" && integration.integration_http_method == "POST"])
    error_message = "the function must get the whole request"
  }

  assert {
    condition     = aws_lambda_permission.this.source_arn == "arn:aws:execute-api:us-east-1:123456789012:mockapi/v1/*"
    error_message = "only this stage of this API may invoke the function"
  }
}

run "keys_and_the_whole_are_throttled" {
  module {
    source = "./modules/rest_api"
  }

  assert {
    condition     = aws_api_gateway_method_settings.this.settings[0].throttling_rate_limit == 20 && aws_api_gateway_method_settings.this.settings[0].throttling_burst_limit == 40 && aws_api_gateway_method_settings.this.method_path == "*/*"
    error_message = "all methods together must be throttled"
  }

  assert {
    condition     = aws_api_gateway_usage_plan.this.throttle_settings[0].rate_limit == 5 && aws_api_gateway_usage_plan.this.throttle_settings[0].burst_limit == 10 && length(aws_api_gateway_usage_plan.this.quota_settings) == 0
    error_message = "each key must be throttled, and has no quota unless one is given"
  }

  assert {
    condition     = toset(keys(aws_api_gateway_usage_plan_key.this)) == toset(["one", "two"])
    error_message = "every key must be in the plan"
  }
}

run "what_api_gateway_answers_itself_has_the_shape_of_every_error" {
  module {
    source = "./modules/rest_api"
  }

  assert {
    condition = alltrue([
      for response in aws_api_gateway_gateway_response.this :
      keys(jsondecode(replace(response.response_templates["application/json"], "$context.error.messageString", "\"x\""))) == ["error", "success", "suggestions"]
    ])
    error_message = "templates must be JSON with success, error and suggestions"
  }

  assert {
    condition = { for name, response in aws_api_gateway_gateway_response.this : name => response.status_code if !startswith(name, "DEFAULT") } == {
      INVALID_API_KEY              = "403"
      MISSING_AUTHENTICATION_TOKEN = "404"
      REQUEST_TOO_LARGE            = "413"
      THROTTLED                    = "429"
      QUOTA_EXCEEDED               = "429"
      INTEGRATION_TIMEOUT          = "504"
    }
    error_message = "statuses must be those of HTTP"
  }

  assert {
    condition     = alltrue([for response in aws_api_gateway_gateway_response.this : length(response.response_parameters) == 0])
    error_message = "no origin may be let in unless it is named"
  }
}

run "origins_and_quotas_are_given_on" {
  variables {
    cors_origins = ["https://app.example"]
    key_quota    = { limit = 100, period = "DAY" }
  }

  module {
    source = "./modules/rest_api"
  }

  assert {
    condition     = aws_api_gateway_gateway_response.this["THROTTLED"].response_parameters["gatewayresponse.header.Access-Control-Allow-Origin"] == "'https://app.example'"
    error_message = "a page must be able to read errors, too"
  }

  assert {
    condition     = aws_api_gateway_usage_plan.this.quota_settings[0].limit == 100 && aws_api_gateway_usage_plan.this.quota_settings[0].period == "DAY"
    error_message = "the quota must be given to the plan"
  }
}

run "a_pool_an_access_log_and_a_web_acl_by_variable" {
  module {
    source = "./modules/rest_api"
  }

  variables {
    authorization   = { type = "COGNITO_USER_POOLS", user_pool_arns = ["arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_a"] }
    access_log      = { retention_days = 30, account_role = true }
    waf_web_acl_arn = "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/one/1"
  }

  assert {
    condition = { for name, method in aws_api_gateway_method.this : name => method.authorization } == {
      "health ANY"    = "NONE"
      "proxy ANY"     = "COGNITO_USER_POOLS"
      "proxy OPTIONS" = "NONE"
    }
    error_message = "what needs a key needs a token, too, and nothing else does"
  }

  assert {
    condition     = strcontains(aws_api_gateway_stage.this.access_log_settings[0].format, "$context.identity.apiKeyId") && !strcontains(aws_api_gateway_stage.this.access_log_settings[0].format, "identity.apiKey\"")
    error_message = "a log names keys by their ids and never has a key"
  }

  assert {
    condition     = length(aws_wafv2_web_acl_association.this) == 1 && length(aws_api_gateway_account.this) == 1
    error_message = "the web ACL must be in front of the stage, and the account must have the role"
  }
}
