# A role for each node, so that none reads what is another's. Nothing here can change machines,
# networks, DNS or other people's parameters.

data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

locals {
  parameters = "arn:${data.aws_partition.this.partition}:ssm:${var.secrets.region}:${data.aws_caller_identity.this.account_id}:parameter/${var.cluster}"
  own        = "${local.parameters}/nodes/${var.node}"
  formed     = "${local.parameters}/cluster"
  invited    = "${local.parameters}/nodes/*/invitation"

  statements = concat(
    [
      {
        Sid      = "ReadOwnParameters"
        Effect   = "Allow"
        Action   = "ssm:GetParameter"
        Resource = ["${local.own}/*", local.formed]
      },
      {
        Sid       = "NeverOverwriteParameters"
        Effect    = "Deny"
        Action    = "ssm:PutParameter"
        Resource  = "${local.parameters}/*"
        Condition = { StringEquals = { "ssm:Overwrite" = "true" } }
      },
      {
        Sid      = "OpenOwnParameters"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = var.secrets.kms_key_arn
        Condition = {
          StringEquals = { "kms:ViaService" = "ssm.${var.secrets.region}.${data.aws_partition.this.dns_suffix}" }
          StringLike   = { "kms:EncryptionContext:PARAMETER_ARN" = "${local.own}/*" }
        }
      },
      {
        # For the daemon's key provider `kms`: in its context, which no other node may name.
        Sid      = "WrapOwnKey"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:Encrypt"]
        Resource = var.secrets.kms_key_arn
        Condition = {
          StringEquals = {
            "kms:EncryptionContext:hostquorum:cluster" = var.cluster
            "kms:EncryptionContext:hostquorum:node"    = var.node
          }
        }
      },
    ],
    [for statement in local.voters_statements : statement if var.role == "voter"]
  )

  voters_statements = [
    {
      Sid      = "SealInvitations"
      Effect   = "Allow"
      Action   = "kms:Encrypt"
      Resource = var.secrets.kms_key_arn
      Condition = {
        StringEquals = { "kms:ViaService" = "ssm.${var.secrets.region}.${data.aws_partition.this.dns_suffix}" }
        StringLike   = { "kms:EncryptionContext:PARAMETER_ARN" = local.invited }
      }
    },
    {
      Sid      = "FoundOnceAndInvite"
      Effect   = "Allow"
      Action   = "ssm:PutParameter"
      Resource = [local.formed, local.invited]
    },
    {
      Sid      = "WithdrawInvitations"
      Effect   = "Allow"
      Action   = "ssm:DeleteParameter"
      Resource = local.invited
    },
    {
      # To find the others, and to see that a machine that asks is the one it must be. EC2 takes no
      # narrower resource.
      Sid       = "SeeMachines"
      Effect    = "Allow"
      Action    = "ec2:DescribeInstances"
      Resource  = "*"
      Condition = { StringEquals = { "aws:RequestedRegion" = var.secrets.region } }
    },
  ]
}

resource "aws_iam_role" "this" {
  name                 = local.name
  description          = "hostquorum ${local.name}"
  permissions_boundary = var.permissions_boundary
  tags                 = local.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ec2.${data.aws_partition.this.dns_suffix}" }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name   = "hostquorum"
  role   = aws_iam_role.this.name
  policy = jsonencode({ Version = "2012-10-17", Statement = local.statements })
}

# Session Manager instead of SSH.
resource "aws_iam_role_policy_attachment" "session_manager" {
  role       = aws_iam_role.this.name
  policy_arn = "arn:${data.aws_partition.this.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

resource "aws_iam_instance_profile" "this" {
  name = local.name
  role = aws_iam_role.this.name
  tags = local.tags
}
