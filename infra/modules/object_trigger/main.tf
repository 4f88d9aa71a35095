# New objects, and objects that are restored from an archive, under a prefix of a bucket are announced to a queue. One write
# of the bucket's only notification setting puts the queue in place of the function that was announced to before, so no
# object in between is announced to neither.

# S3 may still deliver to the function what it noticed before that write, and Terraform would revoke this first.
resource "aws_lambda_permission" "this" {
  statement_id  = "AllowBucketNotification"
  action        = "lambda:InvokeFunction"
  function_name = var.function_name
  principal     = "s3.amazonaws.com"
  source_arn    = var.bucket.arn
  # A bucket ARN has no account in it: without this, the next owner of the name could invoke the function.
  source_account = var.account_id
}

resource "aws_s3_bucket_notification" "this" {
  bucket = var.bucket.name

  # S3 tries the queue, whose policy has to let it send, when the notification is set:
  # https://docs.aws.amazon.com/AmazonS3/latest/userguide/how-to-enable-disable-notification-intro.html
  queue {
    id            = "object-created"
    queue_arn     = var.queue_arn
    events        = ["s3:ObjectCreated:*", "s3:ObjectRestore:Completed"]
    filter_prefix = var.prefix
  }

  depends_on = [aws_lambda_permission.this]
}
