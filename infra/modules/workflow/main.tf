# A workflow: its state machine and log, its schedules, and who is notified when a run is aborted or times out. The caller
# makes the definition of parts from ../workflow_tasks; what the workflow itself may do is in permissions.tf.

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

# EventBridge names each execution after the event, so an event that it delivers twice starts one.
resource "aws_cloudwatch_event_rule" "schedule" {
  for_each = var.schedules

  name                = "${var.name}-${each.key}"
  description         = "Starts ${var.name}: ${each.value.expression}"
  schedule_expression = each.value.expression
}

resource "aws_cloudwatch_event_target" "schedule" {
  for_each = var.schedules

  rule      = aws_cloudwatch_event_rule.schedule[each.key].name
  target_id = var.schedule_target_id
  arn       = aws_sfn_state_machine.this.arn
  role_arn  = aws_iam_role.schedule[0].arn
  input     = each.value.input

  dead_letter_config {
    arn = var.event_dlq_arn
  }

  depends_on = [var.scheduled_after]
}

# An execution that is stopped, or that its timeout ends, runs no further state, so it cannot notify anyone itself:
# https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
# The names of the rule and the permission are those of deployed stacks: another name would replace them.
resource "aws_cloudwatch_event_rule" "aborted" {
  name        = "${var.name}-cut-short"
  description = "Runs of ${var.name} that were stopped or timed out"

  event_pattern = jsonencode({
    source      = ["aws.states"]
    detail-type = ["Step Functions Execution Status Change"]
    detail = {
      stateMachineArn = [aws_sfn_state_machine.this.arn]
      status          = ["ABORTED", "TIMED_OUT"]
    }
  })
}

resource "aws_cloudwatch_event_target" "aborted" {
  rule      = aws_cloudwatch_event_rule.aborted.name
  target_id = "notice"
  arn       = var.topic_arn

  dead_letter_config {
    arn = var.event_dlq_arn
  }

  input_transformer {
    input_paths = {
      name    = "$.detail.name"
      status  = "$.detail.status"
      machine = "$.detail.stateMachineArn"
    }
    # Not jsonencode alone, which writes < as \u003c.
    input_template = replace(replace(jsonencode(var.aborted_notice), "\\u003c", "<"), "\\u003e", ">")
  }
}

# The workflow's function, where it records such an end: it gets the event as it is, or `input`.
resource "aws_cloudwatch_event_target" "aborted_function" {
  count = var.aborted_function == null ? 0 : 1

  rule      = aws_cloudwatch_event_rule.aborted.name
  target_id = var.aborted_function.target_id
  arn       = var.function_arn

  dead_letter_config {
    arn = var.event_dlq_arn
  }

  dynamic "input_transformer" {
    for_each = var.aborted_function.input == null ? [] : [var.aborted_function.input]

    content {
      input_paths = {
        name   = "$.detail.name"
        status = "$.detail.status"
      }
      input_template = replace(replace(jsonencode(input_transformer.value), "\\u003c", "<"), "\\u003e", ">")
    }
  }
}

resource "aws_lambda_permission" "aborted_function" {
  count = var.aborted_function == null ? 0 : 1

  statement_id  = "AllowCutShort"
  action        = "lambda:InvokeFunction"
  function_name = var.aborted_function.name
  qualifier     = var.aborted_function.qualifier
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.aborted.arn
}
