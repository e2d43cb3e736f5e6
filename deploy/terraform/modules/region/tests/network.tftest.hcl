# Who may reach what: one assertion for each rule, and that there is no other.

mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { region = "us-east-1" }
  }
}

variables {
  name   = "edge"
  vpc_id = "vpc-1"
  nodes = {
    a = { subnet_id = "subnet-a", availability_zone = "us-east-1a", role = "voter" }
    b = { subnet_id = "subnet-b", availability_zone = "us-east-1b", role = "voter", weight = 0 }
  }
  artifact = {
    url    = "https://downloads.example.com/hostquorum.deb"
    sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
  }
  listeners = { https = "arn:https", http = "arn:http" }
}

run "behind_an_accelerator" {
  assert {
    condition = { for name, rule in aws_vpc_security_group_ingress_rule.this : name => "${rule.ip_protocol} ${rule.from_port}-${rule.to_port}" } == {
      "https from 0.0.0.0/0"         = "tcp 8443-8443"
      "http from 0.0.0.0/0"          = "tcp 8080-8080"
      "peer from nodes"              = "tcp 7443-7443"
      "admin from nodes"             = "tcp 7444-7444"
      "health from checkers by ipv4" = "tcp 9080-9080"
    }
    error_message = "These rules and no others."
  }
  assert {
    condition     = alltrue([for name in ["https from 0.0.0.0/0", "http from 0.0.0.0/0"] : aws_vpc_security_group_ingress_rule.this[name].cidr_ipv4 == "0.0.0.0/0"])
    error_message = "Clients' own addresses arrive, so everybody is let in to 8443 and 8080."
  }
  assert {
    condition     = alltrue([for name in ["peer from nodes", "admin from nodes"] : aws_vpc_security_group_ingress_rule.this[name].referenced_security_group_id == aws_security_group.nodes.id])
    error_message = "Nodes reach each other by their group."
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.this["health from checkers by ipv4"].prefix_list_id == data.aws_ec2_managed_prefix_list.checkers["ipv4"].id && data.aws_ec2_managed_prefix_list.checkers["ipv4"].name == "com.amazonaws.us-east-1.route53-healthchecks"
    error_message = "The health port is for Route 53's checkers."
  }
  assert {
    condition     = [for rule in aws_vpc_security_group_egress_rule.this : rule.ip_protocol] == ["-1"]
    error_message = "Nodes may go anywhere."
  }
}

run "endpoint_groups" {
  command = plan

  assert {
    condition     = alltrue([for group in aws_globalaccelerator_endpoint_group.this : group.health_check_port == 9080 && group.health_check_path == "/readyz" && group.health_check_protocol == "HTTP"])
    error_message = "Without a port of its own the health check asks where no node listens."
  }
  assert {
    condition     = { for name, group in aws_globalaccelerator_endpoint_group.this : name => "${one(group.port_override).listener_port}->${one(group.port_override).endpoint_port}" } == { https = "443->8443", http = "80->8080" }
    error_message = "Ports are overridden."
  }
  assert {
    condition     = alltrue(flatten([for group in aws_globalaccelerator_endpoint_group.this : [for endpoint in group.endpoint_configuration : endpoint.client_ip_preservation_enabled]]))
    error_message = "Clients' addresses are preserved; the provider's default is not to."
  }
  assert {
    condition     = alltrue([for group in aws_globalaccelerator_endpoint_group.this : toset([for endpoint in group.endpoint_configuration : endpoint.weight]) == toset([0, 128])])
    error_message = "Weights are the nodes'."
  }
  assert {
    condition     = alltrue([for group in aws_globalaccelerator_endpoint_group.this : group.endpoint_group_region == "us-east-1" && group.health_check_interval_seconds == 10 && group.threshold_count == 3])
    error_message = "The group is of this Region; three answers, 10 s apart, decide."
  }
}

run "both_families_and_sources" {
  variables {
    ip_address_type   = "DUAL_STACK"
    peer_cidrs        = ["10.1.0.0/16"]
    admin_source      = { cidrs = ["10.0.0.0/16"], security_group_ids = ["sg-bastion"] }
    monitoring_source = { security_group_ids = ["sg-prometheus"] }
  }

  assert {
    condition = toset(keys(aws_vpc_security_group_ingress_rule.this)) == toset([
      "https from 0.0.0.0/0", "https from ::/0", "http from 0.0.0.0/0", "http from ::/0",
      "peer from nodes", "peer from 10.1.0.0/16", "admin from nodes", "admin from 10.1.0.0/16",
      "admin from 10.0.0.0/16", "admin from operators 0", "health from monitoring 0",
      "health from checkers by ipv4", "health from checkers by ipv6",
    ])
    error_message = "These rules and no others."
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.this["https from ::/0"].cidr_ipv6 == "::/0"
    error_message = "IPv6 clients come in."
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.this["admin from operators 0"].referenced_security_group_id == "sg-bastion"
    error_message = "Operators come from their group."
  }
}

run "behind_a_load_balancer" {
  variables {
    front     = { security_group_id = "sg-nlb" }
    listeners = null
  }

  assert {
    condition     = { for name, rule in aws_vpc_security_group_ingress_rule.this : name => rule.from_port if rule.referenced_security_group_id == "sg-nlb" } == { "https from the load balancer" = 8443, "http from the load balancer" = 8080, "health from the load balancer" = 9080 }
    error_message = "The balancer reaches three ports."
  }
  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.this) == 5 && length(aws_globalaccelerator_endpoint_group.this) == 0
    error_message = "Nobody else is let in."
  }
}

run "a_key_of_ones_own" {
  variables {
    kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/own"
  }

  assert {
    condition     = length(aws_kms_key.this) == 0 && output.kms_key_arn == "arn:aws:kms:us-east-1:123456789012:key/own"
    error_message = "A key that is given is used."
  }
}

run "a_key_is_made" {
  command = plan

  assert {
    condition     = aws_kms_key.this[0].enable_key_rotation && aws_kms_key.this[0].deletion_window_in_days == 30
    error_message = "The key is rotated and cannot be lost in less than 30 days."
  }
}

run "secrets_of_the_home_region" {
  variables {
    secrets = { region = "eu-west-1", kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/home" }
  }

  assert {
    condition     = jsondecode(yamldecode(output.user_data["a"]).write_files[1].content).region == "eu-west-1"
    error_message = "Nodes of other Regions read the home's parameters."
  }
}
