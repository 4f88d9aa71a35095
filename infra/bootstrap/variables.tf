variable "project" {
  description = "First part of every name, as in the stack."
  type        = string
  default     = "sluice"
}

variable "env" {
  description = "Environment: second part of every name, and the GitHub environment whose jobs may deploy."
  type        = string
}

variable "region" {
  description = "Region of the stack and of its state."
  type        = string
}

variable "account_id" {
  description = "The account. Terraform stops before it changes another one."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be 12 digits."
  }
}

variable "state_bucket" {
  description = "Name of the bucket of the states."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.state_bucket))
    error_message = "state_bucket must be the name of a bucket: 3 to 63 lower-case letters, digits and hyphens."
  }
}

variable "repository" {
  description = "The GitHub repository whose workflows may take the roles: <owner>/<name>."
  type        = string

  validation {
    # A wildcard or a colon would let other repositories or events in.
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}$", var.repository))
    error_message = "repository must be <owner>/<name>, as GitHub spells it."
  }
}

variable "create_identity_provider" {
  description = "Whether GitHub's identity provider is made here. An account has one: the second environment uses the first one's."
  type        = bool
  default     = true
}
