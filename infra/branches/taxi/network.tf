# A network of the warehouse's own, without a way to the internet: private subnets in three zones, and an endpoint of S3.
# https://docs.aws.amazon.com/redshift/latest/mgmt/serverless-usage-considerations.html

locals {
  zones = coalesce(var.settings.availability_zones, [for zone in ["a", "b", "c"] : "${var.deployment.region}${zone}"])
}

resource "aws_vpc" "this" {
  cidr_block           = var.settings.cidr_block
  enable_dns_support   = true
  enable_dns_hostnames = true

  tags = { Name = local.name }
}

# The group that AWS makes with every VPC lets its members talk to each other; it stays empty.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
}

resource "aws_subnet" "private" {
  for_each = { for index, zone in local.zones : zone => index }

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = cidrsubnet(var.settings.cidr_block, 4, each.value)

  tags = { Name = "${local.name}-${each.key}" }
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.this.id

  tags = { Name = local.name }
}

resource "aws_route_table_association" "private" {
  for_each = aws_subnet.private

  route_table_id = aws_route_table.private.id
  subnet_id      = each.value.id
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${var.deployment.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.private.id]

  tags = { Name = "${local.name}-s3" }
}

# The Data API needs no way in.
resource "aws_security_group" "warehouse" {
  name        = "${local.name}-warehouse"
  description = "The warehouse of trips: nothing reaches it, it reaches S3 only"
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${local.name}-warehouse" }
}

resource "aws_vpc_security_group_egress_rule" "s3" {
  security_group_id = aws_security_group.warehouse.id
  prefix_list_id    = aws_vpc_endpoint.s3.prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
