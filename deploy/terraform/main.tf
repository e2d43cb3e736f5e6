# A cluster: its home Region with all voters, and what leads clients there.

module "home" {
  source = "./modules/region"

  name                 = var.name
  vpc_id               = var.vpc_id
  nodes                = local.nodes
  instance_type        = var.instance_type
  ami_id               = var.ami_id
  ami_ssm_parameter    = var.ami_ssm_parameter
  artifact             = var.artifact
  data_volume          = var.data_volume
  kms_key_arn          = var.kms_key_arn
  public_ips           = var.public_ips
  ip_address_type      = var.ip_address_type
  ports                = var.ports
  front                = local.nlb ? { security_group_id = aws_security_group.nlb[0].id } : null
  proxy_protocol_from  = local.nlb ? local.nlb_networks : []
  peer_cidrs           = var.peer_cidrs
  admin_source         = var.admin_source
  monitoring_source    = var.monitoring_source
  listeners            = local.listeners
  health_check         = var.health_check
  lame_duck_seconds    = var.lame_duck_seconds
  grace_seconds        = var.grace_seconds
  extra_config         = var.extra_config
  permissions_boundary = var.permissions_boundary
  alarm_actions        = var.alarm_actions
  tags                 = var.tags
}

locals {
  accelerator = var.entry == "global_accelerator"
  nlb         = var.entry == "nlb"
  nodes = merge(
    { for name, node in var.voters : name => merge(node, { role = "voter" }) },
    { for name, node in var.learners : name => merge(node, { role = "learner" }) },
  )
}
