# A network load balancer instead of an accelerator.

mock_provider "aws" {
  mock_data "aws_subnet" {
    defaults = {
      cidr_block      = "10.0.1.0/24"
      ipv6_cidr_block = "2001:db8:1::/64"
    }
  }
}

variables {
  name           = "edge"
  vpc_id         = "vpc-1"
  entry          = "nlb"
  nlb_subnet_ids = ["subnet-a", "subnet-b", "subnet-c"]
  voters = {
    a = { subnet_id = "subnet-a", availability_zone = "us-east-1a" }
    b = { subnet_id = "subnet-b", availability_zone = "us-east-1b" }
    c = { subnet_id = "subnet-c", availability_zone = "us-east-1c" }
  }
  artifact = {
    url    = "https://downloads.example.com/hostquorum.deb"
    sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
  }
}

run "clients_addresses_come_by_the_proxy_protocol" {
  assert {
    condition     = alltrue([for group in aws_lb_target_group.this : group.proxy_protocol_v2 && group.preserve_client_ip == "false"])
    error_message = "With preserved addresses the header would come from clients' networks and be refused."
  }
  assert {
    condition     = length(regexall("proxy_protocol_from = \\[\"10.0.1.0/24\"\\]", yamldecode(output.user_data["a"]).write_files[0].content)) == 2
    error_message = "Nodes believe the header of the balancer's subnets."
  }
  assert {
    condition     = length(aws_globalaccelerator_accelerator.this) == 0
    error_message = "There is one entry."
  }
}

run "health_is_asked_at_its_port" {
  command = plan

  assert {
    condition     = alltrue([for group in aws_lb_target_group.this : one(group.health_check).port == "9080" && one(group.health_check).path == "/readyz"])
    error_message = "Health checks ask /readyz at the health port."
  }
  assert {
    condition     = { for name, rule in aws_vpc_security_group_egress_rule.nlb : name => rule.to_port } == { https = 8443, http = 8080, health = 9080 }
    error_message = "The balancer reaches these ports of nodes and no others."
  }
  assert {
    condition     = toset([for rule in aws_vpc_security_group_ingress_rule.nlb : rule.from_port]) == toset([443, 80])
    error_message = "Clients reach 443 and 80 of the balancer."
  }
  assert {
    condition     = length(aws_lb_target_group_attachment.this) == 6
    error_message = "Each node is a target of both ports."
  }
}
