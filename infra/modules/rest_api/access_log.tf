# A line for each request, with a key's id and never its value:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html

locals {
  logged = [
    "requestId", "requestTime", "httpMethod", "path", "status", "responseLength", "responseLatency", "integrationLatency",
    "identity.sourceIp", "identity.apiKeyId", "identity.userAgent", "error.responseType",
  ]
}

resource "aws_cloudwatch_log_group" "access" {
  count = var.access_log == null ? 0 : 1

  name              = "/aws/apigateway/${var.name}/access"
  retention_in_days = var.access_log.retention_days
  kms_key_id        = var.access_log.kms_key_arn
}

# API Gateway writes its logs as a role of the account. It is one setting for all APIs of a region, so a stack makes it
# only where it is asked to.
resource "aws_iam_role" "logs" {
  count = try(var.access_log.account_role, false) ? 1 : 0

  name = "${var.name}-gateway-logs"

  permissions_boundary = var.permissions_boundary_arn

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "apigateway.amazonaws.com" } }]
  })
}

resource "aws_iam_role_policy_attachment" "logs" {
  count = try(var.access_log.account_role, false) ? 1 : 0

  role       = aws_iam_role.logs[0].name
  policy_arn = "arn:${split(":", var.function.invoke_arn)[1]}:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
}

resource "aws_api_gateway_account" "this" {
  count = try(var.access_log.account_role, false) ? 1 : 0

  cloudwatch_role_arn = aws_iam_role.logs[0].arn

  depends_on = [aws_iam_role_policy_attachment.logs]
}
