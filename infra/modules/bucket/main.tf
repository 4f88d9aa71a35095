# One private, versioned bucket: encrypted at rest, reachable over TLS only, closed to the public, ACLs off.

resource "aws_s3_bucket" "this" {
  bucket        = var.name
  force_destroy = var.force_destroy
}

resource "aws_s3_bucket_versioning" "this" {
  bucket = aws_s3_bucket.this.bucket

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.bucket

  rule {
    # A bucket key saves one KMS call per object; it has no meaning for SSE-S3.
    bucket_key_enabled = var.kms_key_arn != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  bucket = aws_s3_bucket.this.bucket

  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  bucket = aws_s3_bucket.this.bucket

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_policy" "this" {
  bucket = aws_s3_bucket.this.bucket

  # S3 answers 409 OperationAborted when two settings of one bucket are written at the same time.
  depends_on = [aws_s3_bucket_public_access_block.this]

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([{
      Sid       = "DenyPlainHttp"
      Effect    = "Deny"
      Principal = "*"
      # A Deny has to cover every action to be of use:
      # https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.this.arn, "${aws_s3_bucket.this.arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }], [for source in var.inventory_of[*] : {
      # https://docs.aws.amazon.com/AmazonS3/latest/userguide/configure-inventory.html; ACLs are off, so none is demanded.
      Sid       = "TakeInventory"
      Effect    = "Allow"
      Principal = { Service = "s3.amazonaws.com" }
      Action    = "s3:PutObject"
      Resource  = "${aws_s3_bucket.this.arn}/${source.prefix}*"
      Condition = {
        ArnEquals    = { "aws:SourceArn" = "arn:${split(":", aws_s3_bucket.this.arn)[1]}:s3:::${source.bucket}" }
        StringEquals = { "aws:SourceAccount" = source.account_id }
      }
    }])
  })
}

# The provider watches this setting for about a minute before it calls it done, so nothing depends on it.
resource "aws_s3_bucket_lifecycle_configuration" "this" {
  # Versioning first: a rule on noncurrent versions means nothing before.
  bucket = aws_s3_bucket_versioning.this.bucket

  dynamic "rule" {
    for_each = var.noncurrent_prefixes

    content {
      id     = rule.value == "" ? "expire-noncurrent-versions" : "expire-noncurrent-${trimsuffix(rule.value, "/")}"
      status = "Enabled"

      filter {
        prefix = rule.value == "" ? null : rule.value
      }

      noncurrent_version_expiration {
        noncurrent_days = var.noncurrent_version_days
      }

      expiration {
        expired_object_delete_marker = true
      }
    }
  }

  rule {
    id     = "abort-incomplete-uploads"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = var.abort_multipart_days
    }
  }

  dynamic "rule" {
    for_each = var.expire_days

    content {
      id     = "expire-${trimsuffix(rule.key, "/")}"
      status = "Enabled"

      filter {
        prefix = rule.key
      }

      expiration {
        days = rule.value
      }
    }
  }

  dynamic "rule" {
    for_each = var.transitions

    content {
      id     = "move-${trimsuffix(rule.key, "/")}"
      status = "Enabled"

      filter {
        prefix = rule.key
      }

      transition {
        days          = rule.value.days
        storage_class = rule.value.storage_class
      }
    }
  }
}
