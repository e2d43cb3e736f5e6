# Voters in one Region, nodes that only serve in another, one accelerator. The two VPCs are
# peered, and each knows the other's network. The daemon lets the first five nodes vote: with five
# at home, invited first, none of Frankfurt's does.

provider "aws" {
  region = "us-east-1"
}

provider "aws" {
  alias  = "frankfurt"
  region = "eu-central-1"
}

locals {
  artifact = {
    url    = "https://downloads.example.com/hostquorum_0.1.0-1_arm64.deb"
    sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
  }
}

module "hostquorum" {
  source = "../.."

  name       = "edge"
  vpc_id     = "vpc-0123456789abcdef0"
  artifact   = local.artifact
  peer_cidrs = ["10.1.0.0/16"]

  voters = {
    a = { subnet_id = "subnet-0aaaaaaaaaaaaaaaa", availability_zone = "us-east-1a" }
    b = { subnet_id = "subnet-0bbbbbbbbbbbbbbbb", availability_zone = "us-east-1b" }
    c = { subnet_id = "subnet-0cccccccccccccccc", availability_zone = "us-east-1c" }
    d = { subnet_id = "subnet-0aaaaaaaaaaaaaaaa", availability_zone = "us-east-1a" }
    e = { subnet_id = "subnet-0bbbbbbbbbbbbbbbb", availability_zone = "us-east-1b" }
  }
}

module "frankfurt" {
  source    = "../../modules/region"
  providers = { aws = aws.frankfurt }

  name       = "edge"
  vpc_id     = "vpc-0fedcba9876543210"
  artifact   = local.artifact
  peer_cidrs = ["10.0.0.0/16"]
  secrets    = module.hostquorum.secrets
  listeners  = module.hostquorum.listeners

  nodes = {
    frankfurt-a = { subnet_id = "subnet-0dddddddddddddddd", availability_zone = "eu-central-1a" }
    frankfurt-b = { subnet_id = "subnet-0eeeeeeeeeeeeeeee", availability_zone = "eu-central-1b" }
  }
}

output "customers_point_to" {
  description = "What customers' names are to lead to."
  value       = module.hostquorum.static_ip_addresses
}
