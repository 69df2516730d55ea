# The bucket of a Backstop repository, the key, and a role for each thing that somebody comes for.
# Policies are those of ../policies, which the product's own list of grants writes.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  names = {
    account       = data.aws_caller_identity.current.account_id
    administrator = var.administrator
    bucket        = var.bucket
    name          = var.name
    partition     = data.aws_partition.current.partition
    prefix        = var.prefix
    target        = join("\", \"", var.targets)
  }
}

resource "aws_s3_bucket" "backups" {
  bucket              = var.bucket
  object_lock_enabled = true
}

resource "aws_s3_bucket_versioning" "backups" {
  bucket = aws_s3_bucket.backups.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_public_access_block" "backups" {
  bucket                  = aws_s3_bucket.backups.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "backups" {
  bucket = aws_s3_bucket.backups.id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

# What is stored is encrypted before it leaves the worker; this is for whoever asks whether the disk is.
resource "aws_s3_bucket_server_side_encryption_configuration" "backups" {
  bucket = aws_s3_bucket.backups.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_logging" "backups" {
  bucket        = aws_s3_bucket.backups.id
  target_bucket = var.log_bucket
  target_prefix = "${var.bucket}/"
}

resource "aws_s3_bucket_policy" "backups" {
  bucket     = aws_s3_bucket.backups.id
  policy     = templatefile("${path.module}/../policies/bucket.json", local.names)
  depends_on = [aws_s3_bucket_public_access_block.backups, aws_iam_role.role]
}

resource "aws_kms_key" "backups" {
  description             = "Wraps the data keys of Backstop's backups"
  enable_key_rotation     = true
  rotation_period_in_days = 90
  deletion_window_in_days = 30
  multi_region            = var.multi_region
  policy                  = templatefile("${path.module}/../policies/key.json", local.names)
  depends_on              = [aws_iam_role.role]

  lifecycle {
    prevent_destroy = false # set to true once the first backup has been made: a key that goes takes them with it
  }
}

resource "aws_iam_role" "role" {
  for_each = local.roles
  name     = "${var.name}-${each.key}"

  assume_role_policy = jsonencode(local.trust[each.key])
}

resource "aws_iam_role_policy" "role" {
  for_each = local.roles
  name     = "backstop-${each.key}"
  role     = aws_iam_role.role[each.key].id
  policy   = templatefile("${path.module}/../policies/${each.key}.json", local.names)
}
