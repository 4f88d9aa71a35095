# A workflow: its state machine and log, when it starts by itself, and who is told when it is cut short. The definition is
# the caller's, made of parts from ../workflow_tasks; what the workflow itself may do is in permissions.tf.

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
  definition = jsonencode(var.definition)

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

# Off unless a schedule is given. EventBridge names each execution after the event, so an event that it delivers twice
# starts one.
resource "aws_cloudwatch_event_rule" "schedule" {
  count = var.schedule == null ? 0 : 1

  name                = "${var.name}-schedule"
  description         = "Starts ${var.name}: ${var.schedule.expression}"
  schedule_expression = var.schedule.expression
}

resource "aws_cloudwatch_event_target" "schedule" {
  count = var.schedule == null ? 0 : 1

  rule      = aws_cloudwatch_event_rule.schedule[0].name
  target_id = "workflow"
  arn       = aws_sfn_state_machine.this.arn
  role_arn  = aws_iam_role.schedule[0].arn
  input     = jsonencode(var.schedule.input)
}

# An execution that is stopped, or that its timeout ends, runs no further state, so it cannot tell of itself:
# https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
resource "aws_cloudwatch_event_rule" "cut_short" {
  name        = "${var.name}-cut-short"
  description = "Runs of ${var.name} that were stopped or ran out of time"

  event_pattern = jsonencode({
    source      = ["aws.states"]
    detail-type = ["Step Functions Execution Status Change"]
    detail = {
      stateMachineArn = [aws_sfn_state_machine.this.arn]
      status          = ["ABORTED", "TIMED_OUT"]
    }
  })
}

resource "aws_cloudwatch_event_target" "cut_short" {
  rule      = aws_cloudwatch_event_rule.cut_short.name
  target_id = "notice"
  arn       = var.topic_arn

  input_transformer {
    input_paths = {
      name    = "$.detail.name"
      status  = "$.detail.status"
      machine = "$.detail.stateMachineArn"
    }
    # Not jsonencode alone, which writes < as \u003c.
    input_template = replace(replace(jsonencode(var.cut_short_notice), "\\u003c", "<"), "\\u003e", ">")
  }
}
