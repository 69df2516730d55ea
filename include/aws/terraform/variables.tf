variable "name" {
  description = "What every role and the bucket's alias begin with."
  type        = string
  default     = "backstop"
}

variable "bucket" {
  description = "Name of the bucket for backups; made here."
  type        = string
}

variable "log_bucket" {
  description = "Bucket that takes access logs; it exists, and belongs to somebody else than whoever backs up."
  type        = string
}

variable "prefix" {
  description = "Where in the bucket the repository begins; ends in a slash, or is empty."
  type        = string
  default     = ""
  validation {
    condition     = var.prefix == "" || endswith(var.prefix, "/")
    error_message = "The prefix ends in a slash, or is empty."
  }
}

variable "targets" {
  description = "Targets of targets.yaml whose backups the key protects."
  type        = list(string)
}

variable "workers" {
  description = "Who may take each role: role to ARNs of principals. What is left out, nobody may take."
  type        = map(list(string))
}

variable "administrator" {
  description = "Pattern of the ARN of the few who may end the key or change the bucket's policy."
  type        = string
}

variable "multi_region" {
  description = "Make the key one that can be replicated into a second region."
  type        = bool
  default     = false
}
