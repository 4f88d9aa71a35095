# What a branch subscribes to: object.committed, from the bus into a queue of the branch's own, with its dead-letter queue.
# The function that receives the messages decides which objects it works on.

locals {
  # The rule is known by its name: the queue's policy and the rule's target would otherwise wait for each other.
  rule_arn = "arn:${var.account.partition}:events:${var.account.region}:${var.account.id}:rule/${var.event_bus_name}/${var.name}"
}

module "queue" {
  source = "../queue"

  name                       = var.name
  account                    = var.account
  visibility_timeout_seconds = 6 * var.function_timeout_seconds + var.batching_window_seconds
  retention_days             = var.retention_days
  event_rule_arn             = local.rule_arn
  dead_letter = {
    arn               = module.dlq.arn
    max_receive_count = var.max_receive_count
  }
}

module "dlq" {
  source = "../queue"

  name               = "${var.name}-dlq"
  account            = var.account
  dead_letter_source = var.name
  event_rule_arn     = local.rule_arn
}

resource "aws_cloudwatch_event_rule" "this" {
  name           = var.name
  description    = "${var.event == "object.committed" ? "Committed" : "Staged"} objects, to ${var.name}"
  event_bus_name = var.event_bus_name
  event_pattern = jsonencode(merge(
    { source = ["sluice"], detail-type = [var.event] },
    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html#eb-filtering-anything-but
    length(var.left_out) > 0 ? { detail = { dataset = [{ anything-but = var.left_out }] } } : {},
  ))
}

resource "aws_cloudwatch_event_target" "this" {
  rule           = aws_cloudwatch_event_rule.this.name
  event_bus_name = var.event_bus_name
  target_id      = "queue"
  arn            = module.queue.arn

  # What EventBridge cannot deliver looks like what the function cannot process, and is redriven like it.
  dead_letter_config {
    arn = module.dlq.arn
  }
}
