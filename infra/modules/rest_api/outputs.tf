output "id" {
  description = "Id of the REST API."
  value       = aws_api_gateway_rest_api.this.id
}

output "name" {
  description = "Name of the REST API, by which CloudWatch knows it."
  value       = aws_api_gateway_rest_api.this.name
}

output "stage" {
  description = "Name of the stage."
  value       = aws_api_gateway_stage.this.stage_name
}

output "key_ids" {
  description = "Ids of the keys, by name. API Gateway has their values."
  value       = { for name, key in aws_api_gateway_api_key.this : name => key.id }
}
