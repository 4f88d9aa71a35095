mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name = "sluice-test-bronze"
}

run "a_bucket_is_private_versioned_and_encrypted" {
  module {
    source = "./modules/bucket"
  }

  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled"
    error_message = "versioning must be on"
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls,
      aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls,
      aws_s3_bucket_public_access_block.this.restrict_public_buckets,
    ])
    error_message = "every kind of public access must be blocked"
  }

  assert {
    condition     = aws_s3_bucket_ownership_controls.this.rule[0].object_ownership == "BucketOwnerEnforced"
    error_message = "ACLs must be off"
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "without a key the bucket must use SSE-S3"
  }

  assert {
    condition     = aws_s3_bucket.this.force_destroy == false
    error_message = "force_destroy must be off unless asked for"
  }
}

run "plain_http_is_denied_on_the_bucket_and_its_objects" {
  module {
    source = "./modules/bucket"
  }

  assert {
    condition = jsondecode(aws_s3_bucket_policy.this.policy).Statement[0] == {
      Sid       = "DenyPlainHttp"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = ["arn:aws:s3:::mock-bucket", "arn:aws:s3:::mock-bucket/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }
    error_message = "the bucket policy must deny every request without TLS"
  }
}

run "old_versions_and_unfinished_uploads_expire" {
  variables {
    noncurrent_version_days = 9
    abort_multipart_days    = 3
  }

  module {
    source = "./modules/bucket"
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.this.rule[0].noncurrent_version_expiration[0].noncurrent_days == 9
    error_message = "noncurrent versions must expire after noncurrent_version_days"
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.this.rule[1].abort_incomplete_multipart_upload[0].days_after_initiation == 3
    error_message = "unfinished uploads must be aborted after abort_multipart_days"
  }
}

run "only_what_is_named_expires" {
  variables {
    expire_days = { "plans/" = 5 }
  }

  module {
    source = "./modules/bucket"
  }

  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.this.rule : [rule.id, rule.filter[0].prefix, rule.expiration[0].days] if try(rule.expiration[0].days, 0) > 0] == [["expire-plans", "plans/", 5]]
    error_message = "objects below the prefix must expire, and no others"
  }
}

run "a_key_turns_on_sse_kms_with_a_bucket_key" {
  variables {
    kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
  }

  module {
    source = "./modules/bucket"
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default).sse_algorithm == "aws:kms"
    error_message = "with a key the bucket must use SSE-KMS"
  }

  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.this.rule).bucket_key_enabled
    error_message = "SSE-KMS must use a bucket key"
  }
}

run "bad_values_are_refused" {
  command = plan

  variables {
    name                    = "Upper_Case"
    noncurrent_version_days = 0
    abort_multipart_days    = 1.5
    expire_days             = { "plans/" = 0 }
  }

  module {
    source = "./modules/bucket"
  }

  expect_failures = [var.name, var.noncurrent_version_days, var.abort_multipart_days, var.expire_days]
}

run "former_versions_expire_below_the_prefixes_only" {
  variables {
    noncurrent_prefixes = ["functions/", "layers/"]
  }

  module {
    source = "./modules/bucket"
  }

  assert {
    condition = [
      for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.filter[0].prefix if length(rule.noncurrent_version_expiration) > 0
    ] == ["functions/", "layers/"]
    error_message = "a rule for each prefix, and none for the rest of the bucket"
  }
}

run "a_prefix_is_a_folder" {
  command = plan

  variables {
    noncurrent_prefixes = ["functions"]
  }

  module {
    source = "./modules/bucket"
  }

  expect_failures = [var.noncurrent_prefixes]
}
