# Instead of an accelerator: one Region, addresses in each zone, and clients' own addresses by the
# PROXY protocol, since across families the balancer's would arrive.

data "aws_subnet" "nlb" {
  for_each = local.nlb ? toset(var.nlb_subnet_ids) : toset([])
  id       = each.key
}

locals {
  nlb_networks = distinct(compact(flatten([
    for subnet in data.aws_subnet.nlb : [
      subnet.cidr_block, var.ip_address_type == "DUAL_STACK" ? subnet.ipv6_cidr_block : ""
    ]
  ])))
  nlb_ports   = local.nlb ? { https = 443, http = 80 } : {}
  nlb_targets = { for pair in setproduct(keys(local.nlb_ports), keys(local.nodes)) : "${pair[0]} ${pair[1]}" => { port = pair[0], node = pair[1] } }
}

resource "aws_lb" "this" {
  count = local.nlb ? 1 : 0

  name                       = var.name
  load_balancer_type         = "network"
  internal                   = false
  subnets                    = var.nlb_subnet_ids
  security_groups            = [aws_security_group.nlb[0].id]
  ip_address_type            = var.ip_address_type == "DUAL_STACK" ? "dualstack" : "ipv4"
  enable_deletion_protection = var.nlb_deletion_protection
  # A zone whose nodes are ill leaves the balancer's DNS name; what crosses zones costs.
  enable_cross_zone_load_balancing = var.nlb_cross_zone
  tags                             = var.tags
}

resource "aws_security_group" "nlb" {
  count = local.nlb ? 1 : 0

  name_prefix = "${var.name}-nlb-"
  description = "hostquorum ${var.name}: network load balancer"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-nlb" })

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "nlb" {
  for_each = {
    for pair in setproduct(keys(local.nlb_ports), var.ip_address_type == "DUAL_STACK" ? ["0.0.0.0/0", "::/0"] : ["0.0.0.0/0"]) :
    "${pair[0]} from ${pair[1]}" => { port = local.nlb_ports[pair[0]], cidr = pair[1] }
  }

  security_group_id = aws_security_group.nlb[0].id
  description       = each.key
  ip_protocol       = "tcp"
  from_port         = each.value.port
  to_port           = each.value.port
  cidr_ipv4         = strcontains(each.value.cidr, ":") ? null : each.value.cidr
  cidr_ipv6         = strcontains(each.value.cidr, ":") ? each.value.cidr : null
  tags              = var.tags
}

resource "aws_vpc_security_group_egress_rule" "nlb" {
  for_each = local.nlb ? toset(["https", "http", "health"]) : toset([])

  security_group_id            = aws_security_group.nlb[0].id
  description                  = "${each.key} to nodes"
  ip_protocol                  = "tcp"
  from_port                    = var.ports[each.key]
  to_port                      = var.ports[each.key]
  referenced_security_group_id = module.home.security_group_id
  tags                         = var.tags
}

resource "aws_lb_target_group" "this" {
  for_each = local.nlb_ports

  name               = "${var.name}-${each.key}"
  vpc_id             = var.vpc_id
  target_type        = "instance"
  protocol           = "TCP"
  port               = var.ports[each.key]
  proxy_protocol_v2  = true
  preserve_client_ip = "false"
  # Nodes end connections themselves, in steps.
  deregistration_delay   = var.grace_seconds
  connection_termination = false
  tags                   = var.tags

  health_check {
    protocol            = "HTTP"
    port                = var.ports.health
    path                = "/readyz"
    interval            = var.health_check.interval
    healthy_threshold   = max(2, var.health_check.threshold)
    unhealthy_threshold = max(2, var.health_check.threshold)
  }
}

resource "aws_lb_listener" "this" {
  for_each = local.nlb_ports

  load_balancer_arn = aws_lb.this[0].arn
  protocol          = "TCP"
  port              = each.value
  tags              = var.tags

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this[each.key].arn
  }
}

resource "aws_lb_target_group_attachment" "this" {
  for_each = local.nlb_targets

  target_group_arn = aws_lb_target_group.this[each.value.port].arn
  target_id        = module.home.instance_ids[each.value.node]
  port             = var.ports[each.value.port]
}

resource "aws_cloudwatch_metric_alarm" "unhealthy_targets" {
  count = local.nlb ? 1 : 0

  alarm_name        = "${var.name}-unhealthy-targets"
  alarm_description = "The load balancer takes nodes to be ill. See docs/runbooks/node-not-ready.md."
  namespace         = "AWS/NetworkELB"
  metric_name       = "UnHealthyHostCount"
  dimensions = {
    LoadBalancer = aws_lb.this[0].arn_suffix
    TargetGroup  = aws_lb_target_group.this["https"].arn_suffix
  }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  period              = 60
  evaluation_periods  = 5
  treat_missing_data  = "breaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = var.tags
}
