output "host" {
  description = "Address of the cluster's writer."
  value       = aws_rds_cluster.this.endpoint
}

output "port" {
  description = "TCP port of the cluster."
  value       = aws_rds_cluster.this.port
}

output "database_name" {
  description = "Name of the database."
  value       = aws_rds_cluster.this.database_name
}

output "cluster_id" {
  description = "Identifier of the cluster."
  value       = aws_rds_cluster.this.id
}

output "max_connections" {
  description = <<-EOT
    Connections that the cluster takes at least: 189 for each unit of its maximum capacity, 5,000 at most, and 2,000 where
    the least capacity is below 1. AWS's own table has a few more for larger ones:
    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-serverless-v2.setting-capacity.html
  EOT
  value       = min(floor(189 * var.max_capacity), var.min_capacity < 1 ? 2000 : 5000)
}

output "writer" {
  description = "Identifier of the writer, known once it answers; AWS never gives it to another instance, also not to one of the same name."
  value       = aws_rds_cluster_instance.writer.dbi_resource_id
}

output "master_secret_arn" {
  description = "Secret with the master's login, managed by RDS."
  value       = aws_rds_cluster.this.master_user_secret[0].secret_arn
}

output "role_secret_arns" {
  description = "Secrets with the logins of the roles, by role."
  value       = { for role, secret in aws_secretsmanager_secret.role : role => secret.arn }
}

output "function_network" {
  description = "Where functions that use the database run: subnets and security groups."
  value = {
    subnet_ids         = [for subnet in aws_subnet.private : subnet.id]
    security_group_ids = [aws_security_group.functions.id]
  }
}

output "endpoint_network" {
  description = "Where the interface endpoint of a further AWS service goes: network, subnets, security groups, and the name its own begins with."
  value = {
    name               = var.name
    vpc_id             = aws_vpc.this.id
    subnet_ids         = [for subnet in aws_subnet.private : subnet.id]
    security_group_ids = [aws_security_group.endpoints.id]
  }
}
