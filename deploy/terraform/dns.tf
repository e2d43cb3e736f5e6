locals {
  entry = local.accelerator ? {
    name = var.ip_address_type == "DUAL_STACK" ? aws_globalaccelerator_accelerator.this[0].dual_stack_dns_name : aws_globalaccelerator_accelerator.this[0].dns_name
    zone = aws_globalaccelerator_accelerator.this[0].hosted_zone_id
    } : {
    name = aws_lb.this[0].dns_name
    zone = aws_lb.this[0].zone_id
  }
  records = var.dns == null ? {} : {
    for pair in setproduct(var.dns.names, var.ip_address_type == "DUAL_STACK" ? ["A", "AAAA"] : ["A"]) :
    "${pair[0]} ${pair[1]}" => { name = pair[0], type = pair[1] }
  }
}

# What customers' names point to.
resource "aws_route53_record" "this" {
  for_each = local.records

  zone_id = var.dns.zone_id
  name    = each.value.name
  type    = each.value.type

  alias {
    name    = local.entry.name
    zone_id = local.entry.zone
    # Health is the entry's matter.
    evaluate_target_health = false
  }
}
