# One screen from left to right and top to bottom as the data flows: objects, rows, queues, functions, workflows.
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html

locals {
  own = var.namespace

  # title, statistic, metrics ([namespace, name, dimension, value, ...] each), columns of 24
  widgets = [
    {
      title = "Objects", stat = "Sum", width = 8
      metrics = [
        [local.own, "ObjectsPlanned", "service", "ingest", { label = "planned" }],
        [local.own, "ObjectsCommitted", "service", "transform", { label = "committed" }],
        [local.own, "ObjectsFailed", "service", "ingest", { label = "failed (ingest)" }],
        [local.own, "ObjectsFailed", "service", "transform", { label = "failed (transform)" }],
        [local.own, "ObjectsMissing", "service", "ingest", { label = "missing (ingest)" }],
        [local.own, "ObjectsMissing", "service", "transform", { label = "missing (transform)" }],
      ]
    },
    {
      title = "Rows", stat = "Sum", width = 8
      metrics = [
        [local.own, "RowsIn", "service", "transform", { label = "in" }],
        [local.own, "RowsSilver", "service", "transform", { label = "silver" }],
        [local.own, "RowsQuarantined", "service", "transform", { label = "quarantine" }],
      ]
    },
    {
      title = "Rows in quarantine (%)", stat = "Sum", width = 8
      metrics = [
        [{ expression = "100 * quarantined / rows", label = "%", id = "percent" }],
        [local.own, "RowsIn", "service", "transform", { id = "rows", visible = false }],
        [local.own, "RowsQuarantined", "service", "transform", { id = "quarantined", visible = false }],
      ]
    },
    {
      title = "Unfinished objects", stat = "Maximum", width = 8
      metrics = [
        [local.own, "ObjectsUnfinished", "service", "watch", { label = "objects" }],
        [local.own, "OldestUnfinishedSeconds", "service", "watch", { label = "oldest (s)", yAxis = "right" }],
      ]
    },
    {
      title = "Chunk queue", stat = "Maximum", width = 8
      metrics = [
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", var.chunk_queue_name, { label = "waiting" }],
        ["AWS/SQS", "ApproximateNumberOfMessagesNotVisible", "QueueName", var.chunk_queue_name, { label = "in work" }],
        ["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", var.chunk_queue_name, { label = "oldest (s)", yAxis = "right" }],
      ]
    },
    {
      title = "Dead-letter messages", stat = "Maximum", width = 8
      metrics = [
        for key, name in var.dead_letter_queue_names :
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", name, { label = key }]
      ]
    },
    {
      title = "Function errors and throttles", stat = "Sum", width = 8
      metrics = flatten([
        for key, name in var.functions : [
          for metric in ["Errors", "Throttles"] :
          { line = ["AWS/Lambda", metric, "FunctionName", name, { label = "${key} ${lower(metric)}" }] }
        ]
      ])[*].line
    },
    {
      title = "Function duration, p99 (ms)", stat = "p99", width = 8
      metrics = [
        for key, name in var.functions :
        ["AWS/Lambda", "Duration", "FunctionName", name, { label = key }]
      ]
    },
    {
      title = "Seconds for a chunk, average", stat = "Average", width = 8
      metrics = [
        [local.own, "ChunkSeconds", "service", "transform", { label = "seconds" }],
      ]
    },
  ]

  workflow_widgets = [
    for key, arn in var.workflows : {
      title = "Workflow ${key}", stat = "Sum", width = 8
      metrics = [
        for metric in ["ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"] :
        ["AWS/States", metric, "StateMachineArn", arn, { label = lower(trimprefix(metric, "Executions")) }]
      ]
    }
  ]
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = "${var.name}-pipeline"

  dashboard_body = jsonencode({
    widgets = concat([
      for index, widget in concat(local.widgets, local.workflow_widgets) : {
        type   = "metric"
        x      = (index % 3) * 8
        y      = floor(index / 3) * 6
        width  = widget.width
        height = 6
        properties = {
          title   = widget.title
          region  = var.region
          view    = "timeSeries"
          stacked = false
          period  = 60
          stat    = widget.stat
          metrics = widget.metrics
        }
      }
    ])
  })
}
