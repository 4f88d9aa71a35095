variable "name" {
  description = "Name of the API; its usage plan and keys are named after it."
  type        = string
}

variable "description" {
  description = "What the API is for, in one line."
  type        = string
}

variable "function" {
  description = "The function that answers: its name, the ARN that API Gateway invokes it by, and the alias in that."
  type = object({
    name       = string
    invoke_arn = string
    qualifier  = optional(string)
  })
}

variable "stage" {
  description = "Name of the stage, the first part of every path."
  type        = string
  default     = "v1"
}

variable "open_paths" {
  description = "Paths below the root that need no key."
  type        = set(string)
  default     = []
}

variable "keys" {
  description = "Names of the API keys; API Gateway makes their values."
  type        = set(string)
}

variable "throttle" {
  description = "Requests a second, and at once, of all callers together."
  type        = object({ rate = number, burst = number })
}

variable "key_throttle" {
  description = "Requests a second, and at once, of one key."
  type        = object({ rate = number, burst = number })
}

variable "key_quota" {
  description = "Requests of one key in a DAY, WEEK or MONTH; null for no limit."
  type        = object({ limit = number, period = string })
  default     = null
}

variable "cors_origins" {
  description = "Origins whose pages may call the API; * for any, none for no page."
  type        = list(string)
  default     = []
}

variable "tracing_mode" {
  description = "X-Ray tracing: Active or PassThrough."
  type        = string
  default     = "PassThrough"
}

variable "authorization" {
  description = "What a request needs beside its key: NONE, AWS_IAM (a signature) or COGNITO_USER_POOLS (a token of one of the pools)."
  type        = object({ type = string, user_pool_arns = optional(list(string), []) })
  default     = { type = "NONE" }
}

variable "access_log" {
  description = "The stage's access log, null for none. account_role: also make the role that API Gateway needs once for an account and region."
  type        = object({ retention_days = number, kms_key_arn = optional(string), account_role = bool })
  default     = null
}

variable "waf_web_acl_arn" {
  description = "ARN of the AWS WAF web ACL (of the region) that looks at requests first; null for none."
  type        = string
  default     = null
}

variable "opened_after" {
  description = "Known once what the function needs exists; the stage, which answers requests, is created after that."
  type        = string
  default     = null
}

variable "permissions_boundary_arn" {
  description = "ARN of the policy that bounds what the role that writes the API's log can do; null for none."
  type        = string
  default     = null
}
