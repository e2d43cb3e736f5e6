# One machine and what outlives it: its address and its data are resources of their own, so that
# a replaced instance is the same member.

locals {
  # Its role and its machine are called so, which is how members know the machine when it asks to
  # be let in.
  name = "${var.cluster}-${var.node}"
  # Members look machines up in the cluster's home Region. Learners come when all voters are there.
  join = var.role == "voter" && var.secrets.region == data.aws_region.this.region
  tags = merge(var.tags, {
    Name                 = local.name
    "hostquorum:cluster" = var.cluster
    "hostquorum:node"    = var.node
  })
}

data "aws_region" "this" {}

resource "aws_network_interface" "this" {
  description         = "hostquorum ${local.name}"
  subnet_id           = var.subnet_id
  private_ips         = var.private_ip == null ? null : [var.private_ip]
  ipv6_address_count  = var.dual_stack ? 1 : null
  enable_primary_ipv6 = var.dual_stack ? true : null
  security_groups     = var.security_group_ids
  tags                = local.tags
}

# An interface that was made before its instance gets no public address from its subnet.
resource "aws_eip" "this" {
  count = var.public_ip ? 1 : 0

  domain            = "vpc"
  network_interface = aws_network_interface.this.id
  tags              = local.tags
}

resource "aws_ebs_volume" "data" {
  availability_zone = var.availability_zone
  type              = "gp3"
  size              = var.data_volume.size
  iops              = var.data_volume.iops
  throughput        = var.data_volume.throughput
  encrypted         = true
  kms_key_id        = var.volume_key_arn
  # What is deleted by mistake can be had back.
  final_snapshot = true
  tags           = local.tags
}

resource "aws_instance" "this" {
  ami                  = var.ami_id
  instance_type        = var.instance_type
  iam_instance_profile = aws_iam_instance_profile.this.name
  user_data            = local.user_data
  ebs_optimized        = true
  monitoring           = true
  tags                 = local.tags

  primary_network_interface {
    network_interface_id = aws_network_interface.this.id
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "enabled"
  }

  root_block_device {
    volume_type = "gp3"
    encrypted   = true
    kms_key_id  = var.volume_key_arn
    tags        = local.tags
  }

  # A failed host is left for another one by AWS: same instance, addresses and volumes.
  maintenance_options {
    auto_recovery = "default"
  }

  lifecycle {
    # A new image or configuration must not replace several voters in one apply; replace them
    # one at a time, see "Upgrades" in the module's README.
    ignore_changes = [ami, user_data]

    precondition {
      condition     = length(local.user_data) < 16384
      error_message = "User data may have 16 KiB; shorten extra_config."
    }
  }
}

resource "aws_volume_attachment" "data" {
  device_name                    = "/dev/sdf"
  volume_id                      = aws_ebs_volume.data.id
  instance_id                    = aws_instance.this.id
  stop_instance_before_detaching = true
}

resource "aws_cloudwatch_metric_alarm" "status" {
  alarm_name          = "${local.name}-status"
  alarm_description   = "The machine or its host fails its status checks. The cluster serves on with the others."
  namespace           = "AWS/EC2"
  metric_name         = "StatusCheckFailed"
  dimensions          = { InstanceId = aws_instance.this.id }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 60
  evaluation_periods  = 3
  treat_missing_data  = "breaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = local.tags
}
