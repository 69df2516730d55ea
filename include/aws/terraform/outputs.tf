output "key_arn" {
  description = "For `keys.<name>.key_arn` of targets.yaml."
  value       = aws_kms_key.backups.arn
}

output "roles" {
  description = "Role to ARN, for the Airflow connections that `repositories.<name>.connections` names."
  value       = { for role, made in aws_iam_role.role : role => made.arn }
}
