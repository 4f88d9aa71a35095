# One Lambda layer from a zip. It goes through S3: a direct upload ends at 50 MB.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html

resource "aws_s3_object" "zip" {
  bucket = var.artifacts_bucket
  key    = "layers/${var.name}.zip"
  source = var.zip_path

  # The content decides, not the file's date: the same bytes are never uploaded twice.
  source_hash = filebase64sha256(var.zip_path)
}

resource "aws_lambda_layer_version" "this" {
  layer_name               = var.name
  description              = var.description
  compatible_runtimes      = [var.runtime]
  compatible_architectures = [var.architecture]

  s3_bucket         = aws_s3_object.zip.bucket
  s3_key            = aws_s3_object.zip.key
  s3_object_version = aws_s3_object.zip.version_id
  source_code_hash  = filebase64sha256(var.zip_path)
}
