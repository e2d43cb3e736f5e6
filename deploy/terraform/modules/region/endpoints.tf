# This Region's place behind the accelerator: for each listener a group of all nodes here.

resource "aws_globalaccelerator_endpoint_group" "this" {
  for_each = var.listeners == null ? {} : {
    https = { listener = var.listeners.https, port = 443 }
    http  = { listener = var.listeners.http, port = 80 }
  }

  listener_arn                  = each.value.listener
  endpoint_group_region         = data.aws_region.this.region
  traffic_dial_percentage       = var.traffic_dial_percentage
  health_check_protocol         = "HTTP"
  health_check_path             = "/readyz"
  health_check_interval_seconds = var.health_check.interval
  threshold_count               = var.health_check.threshold
  # If it is not said, the listener's port is asked, at which no node listens: then all are
  # taken to be ill, and traffic goes anywhere.
  health_check_port = var.ports.health

  # Clients that also reach a node directly would collide with themselves at the same port.
  port_override {
    listener_port = each.value.port
    endpoint_port = var.ports[each.key]
  }

  dynamic "endpoint_configuration" {
    for_each = var.nodes

    content {
      endpoint_id                    = module.node[endpoint_configuration.key].instance_id
      weight                         = endpoint_configuration.value.weight
      client_ip_preservation_enabled = true
    }
  }
}
