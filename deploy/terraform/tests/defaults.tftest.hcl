# What a caller gets who says the least.

mock_provider "aws" {}

variables {
  name   = "edge"
  vpc_id = "vpc-1"
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

run "an_accelerator_leads_to_three_nodes" {
  command = plan

  assert {
    condition     = aws_globalaccelerator_accelerator.this[0].enabled && aws_globalaccelerator_accelerator.this[0].ip_address_type == "IPV4"
    error_message = "The accelerator is on and speaks IPv4."
  }
  assert {
    condition     = { for name, listener in aws_globalaccelerator_listener.this : name => "${listener.protocol} ${one(listener.port_range).from_port}-${one(listener.port_range).to_port}" } == { https = "TCP 443-443", http = "TCP 80-80" }
    error_message = "Clients come to 443 and 80."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.unhealthy_endpoints[0].region == "us-west-2"
    error_message = "The accelerator's figures are in us-west-2 only."
  }
  assert {
    condition     = length(aws_lb.this) + length(aws_route53_record.this) == 0
    error_message = "Nobody asked for a load balancer or names."
  }
}

run "everything_is_said_at_last" {
  assert {
    condition     = keys(output.instance_ids) == ["a", "b", "c"]
    error_message = "Each voter is an instance."
  }
  assert {
    condition     = startswith(output.session_commands["a"], "aws ssm start-session --target ")
    error_message = "Shells are had by Session Manager."
  }
  assert {
    condition     = toset(keys(output.listeners)) == toset(["http", "https"])
    error_message = "Other Regions need the listeners."
  }
}

run "names_and_both_families" {
  command = plan

  variables {
    ip_address_type = "DUAL_STACK"
    dns             = { zone_id = "Z1", names = ["customers.example.com"] }
    flow_logs       = { bucket = "logs" }
  }

  assert {
    condition     = toset([for record in aws_route53_record.this : record.type]) == toset(["A", "AAAA"])
    error_message = "A name has an address of each family."
  }
  assert {
    condition     = one(aws_globalaccelerator_accelerator.this[0].attributes).flow_logs_enabled
    error_message = "Flow logs are on once there is a bucket."
  }
}

run "learners_do_not_vote" {
  variables {
    voters = {
      a = { subnet_id = "subnet-a", availability_zone = "us-east-1a" }
      b = { subnet_id = "subnet-b", availability_zone = "us-east-1b" }
      c = { subnet_id = "subnet-c", availability_zone = "us-east-1c" }
      d = { subnet_id = "subnet-a", availability_zone = "us-east-1a" }
      e = { subnet_id = "subnet-b", availability_zone = "us-east-1b" }
    }
    learners = { l = { subnet_id = "subnet-a", availability_zone = "us-east-1a" } }
  }

  assert {
    condition     = jsondecode(yamldecode(output.user_data["l"]).write_files[1].content).role == "learner"
    error_message = "A learner is told so."
  }
  assert {
    condition     = jsondecode(yamldecode(output.user_data["a"]).write_files[1].content).role == "voter"
    error_message = "A voter is told so."
  }
}
