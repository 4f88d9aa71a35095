# A REST API in front of one function: keys, throttling and sizes are checked here, everything else by the function.
# What API Gateway answers itself has the function's error shape (responses.tf).

resource "aws_api_gateway_rest_api" "this" {
  name        = var.name
  description = var.description

  # Clients with code of their own reach it from the network they are in.
  endpoint_configuration {
    types = ["REGIONAL"]
  }
}

resource "aws_api_gateway_resource" "open" {
  for_each = var.open_paths

  rest_api_id = aws_api_gateway_rest_api.this.id
  parent_id   = aws_api_gateway_rest_api.this.root_resource_id
  path_part   = each.key
}

resource "aws_api_gateway_resource" "everything" {
  rest_api_id = aws_api_gateway_rest_api.this.id
  parent_id   = aws_api_gateway_rest_api.this.root_resource_id
  path_part   = "{proxy+}"
}

locals {
  # A browser asks with OPTIONS before it sends a key.
  methods = merge(
    { for path, resource in aws_api_gateway_resource.open : "${path} ANY" => { resource = resource.id, method = "ANY", key = false } },
    {
      "proxy ANY"     = { resource = aws_api_gateway_resource.everything.id, method = "ANY", key = true }
      "proxy OPTIONS" = { resource = aws_api_gateway_resource.everything.id, method = "OPTIONS", key = false }
    },
  )
}

resource "aws_api_gateway_authorizer" "this" {
  count = var.authorization.type == "COGNITO_USER_POOLS" ? 1 : 0

  name          = var.name
  rest_api_id   = aws_api_gateway_rest_api.this.id
  type          = "COGNITO_USER_POOLS"
  provider_arns = var.authorization.user_pool_arns
}

resource "aws_api_gateway_method" "this" {
  for_each = local.methods

  rest_api_id      = aws_api_gateway_rest_api.this.id
  resource_id      = each.value.resource
  http_method      = each.value.method
  authorization    = each.value.key ? var.authorization.type : "NONE"
  authorizer_id    = each.value.key ? one(aws_api_gateway_authorizer.this[*].id) : null
  api_key_required = each.value.key
}

resource "aws_api_gateway_integration" "this" {
  for_each = local.methods

  rest_api_id             = aws_api_gateway_rest_api.this.id
  resource_id             = each.value.resource
  http_method             = aws_api_gateway_method.this[each.key].http_method
  type                    = "AWS_PROXY"
  integration_http_method = "POST"
  uri                     = var.function.invoke_arn
}

resource "aws_lambda_permission" "this" {
  statement_id  = "AllowApi"
  action        = "lambda:InvokeFunction"
  function_name = var.function.name
  qualifier     = var.function.qualifier
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.this.execution_arn}/${var.stage}/*"
}

resource "aws_api_gateway_deployment" "this" {
  rest_api_id = aws_api_gateway_rest_api.this.id

  # A deployment is a picture of the API; another is made when any of this changes.
  triggers = {
    picture = sha1(jsonencode(concat([
      local.methods, var.function.invoke_arn, local.responses,
      [for integration in aws_api_gateway_integration.this : integration.id],
      [for response in aws_api_gateway_gateway_response.this : response.id],
    ], var.authorization.type == "NONE" ? [] : [var.authorization])))
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_api_gateway_stage" "this" {
  rest_api_id          = aws_api_gateway_rest_api.this.id
  deployment_id        = aws_api_gateway_deployment.this.id
  stage_name           = var.stage
  xray_tracing_enabled = var.tracing_mode == "Active"

  dynamic "access_log_settings" {
    for_each = aws_cloudwatch_log_group.access

    content {
      destination_arn = access_log_settings.value.arn
      format          = jsonencode({ for name in local.logged : name => "$context.${name}" })
    }
  }

  depends_on = [var.opened_after, aws_api_gateway_account.this]
}

resource "aws_wafv2_web_acl_association" "this" {
  count = var.waf_web_acl_arn == null ? 0 : 1

  resource_arn = aws_api_gateway_stage.this.arn
  web_acl_arn  = var.waf_web_acl_arn
}

# For all callers together, with a key or without.
resource "aws_api_gateway_method_settings" "this" {
  rest_api_id = aws_api_gateway_rest_api.this.id
  stage_name  = aws_api_gateway_stage.this.stage_name
  method_path = "*/*"

  settings {
    throttling_rate_limit  = var.throttle.rate
    throttling_burst_limit = var.throttle.burst
  }
}

# For each key.
resource "aws_api_gateway_usage_plan" "this" {
  name        = var.name
  description = "Keys of ${var.name}"

  api_stages {
    api_id = aws_api_gateway_rest_api.this.id
    stage  = aws_api_gateway_stage.this.stage_name
  }

  throttle_settings {
    rate_limit  = var.key_throttle.rate
    burst_limit = var.key_throttle.burst
  }

  dynamic "quota_settings" {
    for_each = var.key_quota == null ? [] : [var.key_quota]

    content {
      limit  = quota_settings.value.limit
      period = quota_settings.value.period
    }
  }
}

resource "aws_api_gateway_api_key" "this" {
  for_each = var.keys

  name        = "${var.name}-${each.key}"
  description = "Key ${each.key} of ${var.name}"
}

resource "aws_api_gateway_usage_plan_key" "this" {
  for_each = var.keys

  usage_plan_id = aws_api_gateway_usage_plan.this.id
  key_id        = aws_api_gateway_api_key.this[each.key].id
  key_type      = "API_KEY"
}
