# Alarms on what the branches have of other services: tables, the database, the API.

locals {
  # Requests that DynamoDB refused for a table or one of its indexes; the SDK tries them again, and then work fails.
  # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html
  table_alarms = {
    for key, name in var.tables : "${key}-table-throttles" => {
      parts = {
        reads  = { namespace = "AWS/DynamoDB", metric = "ReadThrottleEvents", dimensions = { TableName = name } }
        writes = { namespace = "AWS/DynamoDB", metric = "WriteThrottleEvents", dimensions = { TableName = name } }
      }
      label       = "Throttled reads and writes"
      statistic   = "Sum"
      period      = var.alarms.table_period_seconds
      threshold   = var.alarms.table_throttles
      description = "DynamoDB throttled reads or writes of ${name}: one key is hot, or the table grows faster than DynamoDB splits it. Nothing is lost while retries last. Look: sluice status."
    }
  }

  # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2.setting-capacity.html
  database_alarms = merge([
    for key, database in var.databases : {
      "${key}-capacity" = {
        namespace   = "AWS/RDS"
        metric      = "ACUUtilization"
        dimensions  = { DBClusterIdentifier = database.cluster_id }
        statistic   = "Average"
        period      = var.alarms.database_period_seconds
        threshold   = var.alarms.database_capacity_percent
        description = "${database.cluster_id} uses nearly all of its maximum capacity: statements get slower. Look: sluice status. Raise warehouse_max_capacity."
      }
      "${key}-connections" = {
        namespace   = "AWS/RDS"
        metric      = "DatabaseConnections"
        dimensions  = { DBClusterIdentifier = database.cluster_id }
        statistic   = "Maximum"
        period      = var.alarms.database_period_seconds
        threshold   = floor(database.max_connections * var.alarms.database_connections_percent / 100)
        description = "${database.cluster_id} has nearly as many connections as it takes (${database.max_connections}). Look: sluice status. Lower the concurrency of its functions, or raise warehouse_max_capacity."
      }
    }
  ]...)

  # https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
  api_alarms = merge([
    for key, api in var.apis : {
      "${key}-5xx" = {
        namespace   = "AWS/ApiGateway"
        metric      = "5XXError"
        dimensions  = { ApiName = api.name, Stage = api.stage }
        statistic   = "Sum"
        period      = var.alarms.api_period_seconds
        threshold   = var.alarms.api_5xx
        description = "${api.name} answered 5xx: its function failed, or API Gateway could not reach it. Look: sluice logs ${key}."
      }
      "${key}-latency" = {
        namespace   = "AWS/ApiGateway"
        metric      = "Latency"
        dimensions  = { ApiName = api.name, Stage = api.stage }
        percentile  = "p95"
        period      = var.alarms.api_latency_period_seconds
        threshold   = var.alarms.api_latency_milliseconds
        description = "One answer of ${api.name} in twenty takes too long. Look: sluice logs ${key}; sluice api health."
      }
    }
  ]...)

  service_alarms = merge(local.table_alarms, local.database_alarms, local.api_alarms)
}
