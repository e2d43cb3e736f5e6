data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

# One key for the volumes, the parameters and the nodes' own keys; who may use it for what is
# told apart by its context, see modules/node/iam.tf.
resource "aws_kms_key" "this" {
  count = var.kms_key_arn == null ? 1 : 0

  description             = "hostquorum ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  tags                    = local.tags

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      # IAM policies decide, and the account can never lose its key.
      Sid       = "Account"
      Effect    = "Allow"
      Principal = { AWS = "arn:${data.aws_partition.this.partition}:iam::${data.aws_caller_identity.this.account_id}:root" }
      Action    = "kms:*"
      Resource  = "*"
    }]
  })
}

resource "aws_kms_alias" "this" {
  count = var.kms_key_arn == null ? 1 : 0

  name          = "alias/hostquorum-${var.name}"
  target_key_id = aws_kms_key.this[0].key_id
}
