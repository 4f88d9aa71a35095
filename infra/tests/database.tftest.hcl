mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name                = "sluice-test-warehouse"
  region              = "eu-west-1"
  availability_zones  = ["eu-west-1a", "eu-west-1c"]
  interface_endpoints = ["secretsmanager", "sqs"]
  database_name       = "warehouse"
  roles               = ["loader", "reader"]
}

run "the_password_is_managed_and_never_passes_through_terraform" {
  module {
    source = "./modules/database"
  }

  assert {
    condition     = aws_rds_cluster.this.manage_master_user_password && aws_rds_cluster.this.master_password == null
    error_message = "RDS must create and store the master's password"
  }

  assert {
    condition     = output.master_secret_arn == "arn:aws:secretsmanager:us-east-1:123456789012:secret:rds!cluster-mock-abcdef"
    error_message = "the secret that RDS manages must be handed on by its ARN"
  }

  assert {
    condition     = [for role in ["loader", "reader"] : aws_secretsmanager_secret.role[role].name_prefix] == ["sluice-test-warehouse-loader-", "sluice-test-warehouse-reader-"]
    error_message = "every role must have a secret of its own, whose name a deleted one does not take"
  }
}

run "data_is_encrypted_protected_and_kept_unless_it_may_go" {
  module {
    source = "./modules/database"
  }

  assert {
    condition     = aws_rds_cluster.this.storage_encrypted && aws_rds_cluster.this.deletion_protection && !aws_rds_cluster.this.skip_final_snapshot
    error_message = "a cluster must be encrypted, protected and leave a last snapshot by default"
  }

  assert {
    condition     = can(regex("^sluice-test-warehouse-final-[0-9]{14}$", aws_rds_cluster.this.final_snapshot_identifier)) && aws_secretsmanager_secret.role["loader"].recovery_window_in_days == 30
    error_message = "the last snapshot must have a name of its own, and secrets must be recoverable"
  }
}

run "a_throw_away_cluster_goes_without_a_trace" {
  variables {
    force_destroy       = true
    deletion_protection = false
  }

  module {
    source = "./modules/database"
  }

  assert {
    condition     = aws_rds_cluster.this.skip_final_snapshot && !aws_rds_cluster.this.deletion_protection && aws_secretsmanager_secret.role["reader"].recovery_window_in_days == 0
    error_message = "force_destroy must leave nothing behind"
  }
}

run "it_is_serverless_private_and_in_two_zones" {
  module {
    source = "./modules/database"
  }

  assert {
    condition     = aws_rds_cluster.this.engine == "aurora-postgresql" && aws_rds_cluster_instance.writer.instance_class == "db.serverless" && !aws_rds_cluster_instance.writer.publicly_accessible
    error_message = "the writer must be Aurora Serverless v2 and private"
  }

  assert {
    condition     = { for zone, subnet in aws_subnet.private : zone => subnet.cidr_block } == { "eu-west-1a" = "10.20.0.0/24", "eu-west-1c" = "10.20.1.0/24" }
    error_message = "every zone must have a subnet of its own"
  }

  assert {
    condition     = alltrue([for subnet in aws_subnet.private : subnet.map_public_ip_on_launch != true])
    error_message = "no subnet may hand out public addresses"
  }
}

run "only_functions_reach_the_database_and_only_it_and_endpoints_are_reached_by_them" {
  module {
    source = "./modules/database"
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.database.referenced_security_group_id == aws_security_group.functions.id && aws_vpc_security_group_ingress_rule.database.from_port == 5432 && aws_vpc_security_group_ingress_rule.database.to_port == 5432
    error_message = "PostgreSQL must be open to the functions only"
  }

  assert {
    condition = alltrue([
      for rule in concat([aws_vpc_security_group_egress_rule.database, aws_vpc_security_group_egress_rule.endpoints], values(aws_vpc_security_group_egress_rule.gateways)) :
      rule.cidr_ipv4 == null && rule.cidr_ipv6 == null
    ])
    error_message = "functions must reach groups and prefix lists, no addresses"
  }

  assert {
    condition     = sort([for endpoint in aws_vpc_endpoint.gateway : endpoint.service_name]) == tolist(["com.amazonaws.eu-west-1.dynamodb", "com.amazonaws.eu-west-1.s3"])
    error_message = "S3 and DynamoDB must be reached by gateway endpoints"
  }

  assert {
    condition     = sort([for endpoint in aws_vpc_endpoint.interface : endpoint.service_name if endpoint.private_dns_enabled]) == tolist(["com.amazonaws.eu-west-1.secretsmanager", "com.amazonaws.eu-west-1.sqs"])
    error_message = "the other services must be reached by interface endpoints under their own names"
  }
}

run "bad_settings_are_refused" {
  command = plan

  variables {
    name                  = "Sluice--test"
    availability_zones    = ["eu-west-1a", "eu-west-1a"]
    cidr_block            = "10.0.0.0/28"
    engine_version        = "16.4"
    database_name         = "Ware-house"
    master_username       = "a_name_that_is_too_long"
    max_capacity          = 300
    backup_retention_days = 0
  }

  module {
    source = "./modules/database"
  }

  expect_failures = [var.name, var.availability_zones, var.cidr_block, var.engine_version, var.database_name, var.master_username, var.max_capacity, var.backup_retention_days]
}

run "a_least_capacity_above_the_most_is_refused" {
  command = plan

  variables {
    min_capacity = 4.5
  }

  module {
    source = "./modules/database"
  }

  expect_failures = [var.min_capacity]
}
