resource "aws_globalaccelerator_accelerator" "this" {
  count = local.accelerator ? 1 : 0

  name            = var.name
  ip_address_type = var.ip_address_type
  enabled         = true
  tags            = var.tags

  attributes {
    flow_logs_enabled   = var.flow_logs != null
    flow_logs_s3_bucket = try(var.flow_logs.bucket, null)
    flow_logs_s3_prefix = try(var.flow_logs.prefix, null)
  }
}

resource "aws_globalaccelerator_listener" "this" {
  for_each = local.accelerator ? { https = 443, http = 80 } : {}

  accelerator_arn = aws_globalaccelerator_accelerator.this[0].arn
  protocol        = "TCP"
  # A node keeps nothing of a client that another does not have.
  client_affinity = "NONE"

  port_range {
    from_port = each.value
    to_port   = each.value
  }
}

locals {
  listeners = local.accelerator ? {
    https = aws_globalaccelerator_listener.this["https"].arn
    http  = aws_globalaccelerator_listener.this["http"].arn
  } : null
}

# The accelerator's figures are in one Region only, and so are whom its alarms may tell.
resource "aws_cloudwatch_metric_alarm" "unhealthy_endpoints" {
  count  = local.accelerator ? 1 : 0
  region = "us-west-2"

  alarm_name          = "${var.name}-unhealthy-endpoints"
  alarm_description   = "The accelerator takes nodes to be ill. See docs/runbooks/node-not-ready.md."
  namespace           = "AWS/GlobalAccelerator"
  metric_name         = "UnhealthyEndpointCount"
  dimensions          = { Accelerator = reverse(split("/", aws_globalaccelerator_accelerator.this[0].arn))[0] }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 60
  evaluation_periods  = 5
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.accelerator_alarm_actions
  ok_actions          = var.accelerator_alarm_actions
  tags                = var.tags
}
