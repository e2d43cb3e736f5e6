# The nodes of one Region, their network, their key and their place behind the accelerator.

data "aws_region" "this" {}

data "aws_ssm_parameter" "ami" {
  count = var.ami_id == null ? 1 : 0
  name  = var.ami_ssm_parameter
}

locals {
  dual_stack  = var.ip_address_type == "DUAL_STACK"
  kms_key_arn = var.kms_key_arn != null ? var.kms_key_arn : aws_kms_key.this[0].arn
  secrets = var.secrets != null ? var.secrets : {
    region      = data.aws_region.this.region
    kms_key_arn = local.kms_key_arn
  }
  tags = merge(var.tags, { "hostquorum:cluster" = var.name })
}

module "node" {
  source   = "../node"
  for_each = var.nodes

  cluster              = var.name
  node                 = each.key
  role                 = each.value.role
  subnet_id            = each.value.subnet_id
  availability_zone    = each.value.availability_zone
  private_ip           = each.value.private_ip
  dual_stack           = local.dual_stack
  public_ip            = var.public_ips
  security_group_ids   = [aws_security_group.nodes.id]
  ami_id               = var.ami_id != null ? var.ami_id : nonsensitive(data.aws_ssm_parameter.ami[0].value)
  instance_type        = var.instance_type
  data_volume          = var.data_volume
  volume_key_arn       = local.kms_key_arn
  secrets              = local.secrets
  artifact             = var.artifact
  ports                = var.ports
  proxy_protocol_from  = var.proxy_protocol_from
  lame_duck_seconds    = var.lame_duck_seconds
  grace_seconds        = var.grace_seconds
  extra_config         = var.extra_config
  permissions_boundary = var.permissions_boundary
  alarm_actions        = var.alarm_actions
  tags                 = local.tags
}
