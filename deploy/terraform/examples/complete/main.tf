# Five voters and a learner, both families of addresses, names in Route 53, alarms, flow logs,
# operators and a Prometheus in the VPC.

provider "aws" {
  region = "us-east-1"

  default_tags {
    tags = { environment = "production" }
  }
}

module "hostquorum" {
  source = "../.."

  name            = "edge"
  vpc_id          = "vpc-0123456789abcdef0"
  ip_address_type = "DUAL_STACK"

  voters = {
    a = { subnet_id = "subnet-0aaaaaaaaaaaaaaaa", availability_zone = "us-east-1a", private_ip = "10.0.1.10" }
    b = { subnet_id = "subnet-0bbbbbbbbbbbbbbbb", availability_zone = "us-east-1b", private_ip = "10.0.2.10" }
    c = { subnet_id = "subnet-0cccccccccccccccc", availability_zone = "us-east-1c", private_ip = "10.0.3.10" }
    d = { subnet_id = "subnet-0aaaaaaaaaaaaaaaa", availability_zone = "us-east-1a", private_ip = "10.0.1.11" }
    e = { subnet_id = "subnet-0bbbbbbbbbbbbbbbb", availability_zone = "us-east-1b", private_ip = "10.0.2.11" }
  }

  learners = {
    l = { subnet_id = "subnet-0cccccccccccccccc", availability_zone = "us-east-1c", weight = 64 }
  }

  instance_type = "c7g.large"
  artifact = {
    url    = "https://downloads.example.com/hostquorum_0.1.0-1_arm64.deb"
    sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
  }
  data_volume = { size = 40, iops = 4000, throughput = 250 }

  health_check      = { interval = 10, threshold = 3 }
  lame_duck_seconds = 45
  grace_seconds     = 300

  # A change of it reaches new machines only.
  extra_config = <<-EOT
    [access_log]
    stderr = true
    sample = 100
  EOT

  admin_source      = { cidrs = ["10.0.0.0/16"] }
  monitoring_source = { security_group_ids = ["sg-0123456789abcdef0"] }

  dns = {
    zone_id = "Z0123456789ABCDEFGHIJ"
    names   = ["customers.example.com"]
  }
  flow_logs                 = { bucket = "example-flow-logs", prefix = "edge" }
  alarm_actions             = ["arn:aws:sns:us-east-1:123456789012:operators"]
  accelerator_alarm_actions = ["arn:aws:sns:us-west-2:123456789012:operators"]
  permissions_boundary      = "arn:aws:iam::123456789012:policy/boundary"

  tags = { service = "edge" }
}

output "hostquorum" {
  description = "Where everything is."
  value = {
    addresses = module.hostquorum.static_ip_addresses
    nodes     = module.hostquorum.private_ips
    sessions  = module.hostquorum.session_commands
  }
}
