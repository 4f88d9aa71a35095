output "notification_id" {
  description = "Id of the bucket's notification setting: new objects are announced once it exists."
  value       = aws_s3_bucket_notification.this.id
}
