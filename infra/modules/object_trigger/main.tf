# New objects, and objects that are restored from an archive, under a prefix of a bucket invoke a function.

resource "aws_lambda_permission" "this" {
  statement_id  = "AllowBucketNotification"
  action        = "lambda:InvokeFunction"
  function_name = var.function.name
  principal     = "s3.amazonaws.com"
  source_arn    = var.bucket.arn
  # A bucket ARN has no account in it: without this, the next owner of the name could invoke the function.
  source_account = var.account_id
}

resource "aws_s3_bucket_notification" "this" {
  bucket = var.bucket.name

  lambda_function {
    id                  = "object-created"
    lambda_function_arn = var.function.arn
    events              = ["s3:ObjectCreated:*", "s3:ObjectRestore:Completed"]
    filter_prefix       = var.prefix
  }

  # S3 tries the function when the notification is set.
  depends_on = [aws_lambda_permission.this]
}
