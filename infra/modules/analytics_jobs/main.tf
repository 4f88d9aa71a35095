# The workflow that runs analytics jobs, started by the API and by schedules.

resource "aws_cloudwatch_log_group" "this" {
  # The prefix that AWS lets Step Functions write to without a resource policy of 5,120 characters filling up:
  # https://docs.aws.amazon.com/step-functions/latest/dg/bp-cwl.html
  name              = "/aws/vendedlogs/states/${var.name}"
  retention_in_days = var.log_retention_days
}

resource "aws_sfn_state_machine" "this" {
  name       = var.name
  role_arn   = aws_iam_role.this.arn
  type       = "STANDARD"
  definition = jsonencode(local.definition)

  logging_configuration {
    level                  = "ERROR"
    include_execution_data = true
    log_destination        = "${aws_cloudwatch_log_group.this.arn}:*"
  }

  dynamic "tracing_configuration" {
    for_each = var.tracing_mode == "Active" ? [true] : []

    content {
      enabled = true
    }
  }

  depends_on = [aws_iam_role_policy.this]
}

# EventBridge names each execution after the event, so an event that it delivers twice starts one.
resource "aws_cloudwatch_event_rule" "schedule" {
  for_each = var.schedules

  name                = "${var.name}-${each.key}"
  description         = "Analytics ${each.key}: ${each.value.operation}"
  schedule_expression = each.value.expression
}

resource "aws_cloudwatch_event_target" "schedule" {
  for_each = var.schedules

  rule      = aws_cloudwatch_event_rule.schedule[each.key].name
  target_id = "job"
  arn       = aws_sfn_state_machine.this.arn
  role_arn  = aws_iam_role.schedule[0].arn
  input     = jsonencode({ request = { operation = each.value.operation, parameters = each.value.parameters } })
}

# An execution that is stopped, or that its timeout ends, runs no further state: the function records it, and the topic
# hears of it. https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
resource "aws_cloudwatch_event_rule" "cut_short" {
  name        = "${var.name}-cut-short"
  description = "Analytics jobs that were stopped or ran out of time"

  event_pattern = jsonencode({
    source      = ["aws.states"]
    detail-type = ["Step Functions Execution Status Change"]
    detail = {
      stateMachineArn = [aws_sfn_state_machine.this.arn]
      status          = ["ABORTED", "TIMED_OUT"]
    }
  })
}

resource "aws_cloudwatch_event_target" "record" {
  rule      = aws_cloudwatch_event_rule.cut_short.name
  target_id = "record"
  arn       = var.function_arn
}

resource "aws_lambda_permission" "record" {
  statement_id  = "AllowCutShort"
  action        = "lambda:InvokeFunction"
  function_name = var.function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.cut_short.arn
}

resource "aws_cloudwatch_event_target" "tell" {
  rule      = aws_cloudwatch_event_rule.cut_short.name
  target_id = "notice"
  arn       = var.topic_arn

  input_transformer {
    input_paths = {
      name   = "$.detail.name"
      status = "$.detail.status"
    }
    # Not jsonencode, which writes < as \u003c.
    input_template = <<-EOT
      {
        "kind": "analytics.failed",
        "severity": "error",
        "dataset": "*",
        "job": "<name>",
        "reason": "<status>",
        "detail": "the workflow was ended before the job was done",
        "look": "sluice api job show <name>",
        "repair": "ask again"
      }
    EOT
  }
}
