# The bus on which the pipeline announces what it has committed; an archive stores the events so that they can be replayed.

resource "aws_cloudwatch_event_bus" "this" {
  name = var.name
}

resource "aws_cloudwatch_event_archive" "this" {
  count = var.archive_days == 0 ? 0 : 1

  name             = var.name
  event_source_arn = aws_cloudwatch_event_bus.this.arn
  retention_days   = var.archive_days
}
