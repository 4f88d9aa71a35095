# The schedule of the function that looks for objects that make no progress.

resource "aws_cloudwatch_event_rule" "watch" {
  name                = "${var.name}-watch"
  description         = "Runs ${var.watch.name}"
  schedule_expression = var.watch_schedule
}

resource "aws_cloudwatch_event_target" "watch" {
  rule      = aws_cloudwatch_event_rule.watch.name
  target_id = "watch"
  arn       = var.watch.arn

  dead_letter_config {
    arn = var.event_dlq_arn
  }
}

resource "aws_lambda_permission" "watch" {
  statement_id  = "AllowSchedule"
  action        = "lambda:InvokeFunction"
  function_name = var.watch.name
  qualifier     = var.watch.qualifier
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.watch.arn
}
