# Three voters in the public subnets of a VPC that is there, behind an accelerator.

provider "aws" {
  region = "us-east-1"
}

module "hostquorum" {
  source = "../.."

  name   = "edge"
  vpc_id = "vpc-0123456789abcdef0"

  voters = {
    a = { subnet_id = "subnet-0aaaaaaaaaaaaaaaa", availability_zone = "us-east-1a" }
    b = { subnet_id = "subnet-0bbbbbbbbbbbbbbbb", availability_zone = "us-east-1b" }
    c = { subnet_id = "subnet-0cccccccccccccccc", availability_zone = "us-east-1c" }
  }

  artifact = {
    url    = "https://downloads.example.com/hostquorum_0.1.0-1_arm64.deb"
    sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
  }
}

output "customers_point_to" {
  description = "What customers' names are to lead to."
  value = {
    cname = module.hostquorum.entry_dns_name
    a     = module.hostquorum.static_ip_addresses
  }
}
