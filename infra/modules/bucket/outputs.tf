output "name" {
  description = "Name of the bucket, known to others once versioning is on, so that every object has a version id."
  value       = aws_s3_bucket_versioning.this.bucket
}

output "arn" {
  description = "ARN of the bucket."
  value       = aws_s3_bucket.this.arn
}

output "lifecycle_rules" {
  description = "The bucket's lifecycle rules."
  value       = aws_s3_bucket_lifecycle_configuration.this.rule
}
