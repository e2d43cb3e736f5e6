# Who may reach a node, rule by rule. Nobody by SSH.

resource "aws_security_group" "nodes" {
  name_prefix = "${var.name}-nodes-"
  description = "hostquorum ${var.name}: nodes"
  vpc_id      = var.vpc_id
  tags        = merge(local.tags, { Name = "${var.name}-nodes" })

  lifecycle {
    create_before_destroy = true
  }
}

locals {
  everywhere = local.dual_stack ? ["0.0.0.0/0", "::/0"] : ["0.0.0.0/0"]
  direct     = var.front == null
  # The accelerator asks from the addresses of Route 53's health checkers.
  checkers = !local.direct ? [] : local.dual_stack ? ["ipv4", "ipv6"] : ["ipv4"]

  # Who may come to which port, by what they are: networks, security groups, prefix lists.
  networks = concat(
    local.direct ? setproduct(["https", "http"], local.everywhere) : [],
    setproduct(["peer", "admin"], var.peer_cidrs),
    setproduct(["admin"], var.admin_source.cidrs),
    setproduct(["health"], var.monitoring_source.cidrs),
  )
  groups = concat(
    [for port in ["peer", "admin"] : [port, "nodes", aws_security_group.nodes.id]],
    [for port in local.direct ? [] : ["https", "http", "health"] : [port, "the load balancer", var.front.security_group_id]],
    [for place, group in var.admin_source.security_group_ids : ["admin", "operators ${place}", group]],
    [for place, group in var.monitoring_source.security_group_ids : ["health", "monitoring ${place}", group]],
  )
  rules = merge(
    { for pair in local.networks : "${pair[0]} from ${pair[1]}" => { port = pair[0], cidr = pair[1], group = null, checkers = null } },
    { for told in local.groups : "${told[0]} from ${told[1]}" => { port = told[0], cidr = null, group = told[2], checkers = null } },
    { for family in local.checkers : "health from checkers by ${family}" => { port = "health", cidr = null, group = null, checkers = family } },
  )
}

data "aws_ec2_managed_prefix_list" "checkers" {
  for_each = toset(local.checkers)
  name     = "com.amazonaws.${data.aws_region.this.region}.${each.key == "ipv6" ? "ipv6." : ""}route53-healthchecks"
}

resource "aws_vpc_security_group_ingress_rule" "this" {
  for_each = local.rules

  security_group_id            = aws_security_group.nodes.id
  description                  = each.key
  ip_protocol                  = "tcp"
  from_port                    = var.ports[each.value.port]
  to_port                      = var.ports[each.value.port]
  cidr_ipv4                    = strcontains(coalesce(each.value.cidr, ":"), ":") ? null : each.value.cidr
  cidr_ipv6                    = strcontains(coalesce(each.value.cidr, "-"), ":") ? each.value.cidr : null
  prefix_list_id               = each.value.checkers == null ? null : data.aws_ec2_managed_prefix_list.checkers[each.value.checkers].id
  referenced_security_group_id = each.value.group
  tags                         = local.tags
}

# CAs, origins, resolvers and AWS are anywhere.
resource "aws_vpc_security_group_egress_rule" "this" {
  for_each = toset(local.everywhere)

  security_group_id = aws_security_group.nodes.id
  description       = "to ${each.key}"
  ip_protocol       = "-1"
  cidr_ipv4         = strcontains(each.key, ":") ? null : each.key
  cidr_ipv6         = strcontains(each.key, ":") ? each.key : null
  tags              = local.tags
}
