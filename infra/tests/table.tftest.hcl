mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name     = "sluice-test-ledger"
  hash_key = "pk"
}

run "a_table_is_on_demand_and_encrypted" {
  module {
    source = "./modules/table"
  }

  assert {
    condition     = aws_dynamodb_table.this.billing_mode == "PAY_PER_REQUEST"
    error_message = "the table must be on demand"
  }

  assert {
    condition     = aws_dynamodb_table.this.server_side_encryption[0].enabled
    error_message = "the table must be encrypted with a KMS key"
  }

  assert {
    condition     = [for a in aws_dynamodb_table.this.attribute : a.name] == ["pk"]
    error_message = "a table with one key declares one attribute"
  }

  assert {
    condition     = aws_dynamodb_table.this.point_in_time_recovery[0].enabled == false && aws_dynamodb_table.this.deletion_protection_enabled == false
    error_message = "recovery and deletion protection are off unless asked for"
  }
}

run "keys_of_indexes_are_declared_once" {
  variables {
    range_key = "sk"
    indexes = {
      by_dataset = { hash_key = "dataset", range_key = "received_at", include = ["origin"] }
      by_state   = { hash_key = "state", range_key = "received_at" }
    }
  }

  module {
    source = "./modules/table"
  }

  assert {
    condition     = toset([for a in aws_dynamodb_table.this.attribute : a.name]) == toset(["pk", "sk", "dataset", "received_at", "state"])
    error_message = "exactly the key attributes must be declared"
  }

  assert {
    condition     = alltrue([for i in aws_dynamodb_table.this.global_secondary_index : i.projection_type == (i.name == "by_state" ? "ALL" : "INCLUDE")])
    error_message = "an index must carry every attribute, unless it names those that it includes"
  }

  assert {
    condition     = one([for i in aws_dynamodb_table.this.global_secondary_index : i.non_key_attributes if i.name == "by_dataset"]) == toset(["origin"])
    error_message = "an index must carry the attributes that it names"
  }
}

run "expiry_recovery_and_protection_follow_their_variables" {
  variables {
    ttl_attribute          = "expiration"
    point_in_time_recovery = true
    deletion_protection    = true
  }

  module {
    source = "./modules/table"
  }

  assert {
    condition     = aws_dynamodb_table.this.ttl[0].attribute_name == "expiration" && aws_dynamodb_table.this.ttl[0].enabled
    error_message = "items must expire by the named attribute"
  }

  assert {
    condition     = aws_dynamodb_table.this.point_in_time_recovery[0].enabled && aws_dynamodb_table.this.deletion_protection_enabled
    error_message = "recovery and deletion protection must be on"
  }
}

run "bad_names_are_refused" {
  command = plan

  variables {
    name = "a b"
  }

  module {
    source = "./modules/table"
  }

  expect_failures = [var.name]
}
