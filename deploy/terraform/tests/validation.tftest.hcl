# What is refused before anything is made.

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

run "two_zones" {
  command = plan
  variables {
    voters = {
      a = { subnet_id = "subnet-a", availability_zone = "us-east-1a" }
      b = { subnet_id = "subnet-b", availability_zone = "us-east-1b" }
      c = { subnet_id = "subnet-b", availability_zone = "us-east-1b" }
    }
  }
  expect_failures = [var.voters]
}

run "four_voters" {
  command = plan
  variables {
    voters = {
      a = { subnet_id = "subnet-a", availability_zone = "us-east-1a" }
      b = { subnet_id = "subnet-b", availability_zone = "us-east-1b" }
      c = { subnet_id = "subnet-c", availability_zone = "us-east-1c" }
      d = { subnet_id = "subnet-c", availability_zone = "us-east-1c" }
    }
  }
  expect_failures = [var.voters]
}

run "a_name_twice" {
  command = plan
  variables {
    voters = {
      a = { subnet_id = "subnet-a", availability_zone = "us-east-1a" }
      b = { subnet_id = "subnet-b", availability_zone = "us-east-1b" }
      c = { subnet_id = "subnet-c", availability_zone = "us-east-1c" }
      d = { subnet_id = "subnet-a", availability_zone = "us-east-1a" }
      e = { subnet_id = "subnet-b", availability_zone = "us-east-1b" }
    }
    learners = { a = { subnet_id = "subnet-a", availability_zone = "us-east-1a" } }
  }
  expect_failures = [var.learners]
}

run "learners_that_would_vote" {
  command = plan
  variables {
    learners = { l = { subnet_id = "subnet-a", availability_zone = "us-east-1a" } }
  }
  expect_failures = [var.learners]
}

run "operators_api_for_everybody" {
  command = plan
  variables {
    admin_source = { cidrs = ["0.0.0.0/0"] }
  }
  expect_failures = [var.admin_source]
}

run "operators_api_for_everybody_by_ipv6" {
  command = plan
  variables {
    admin_source = { cidrs = ["::/0"] }
  }
  expect_failures = [var.admin_source]
}

run "metrics_for_everybody" {
  command = plan
  variables {
    monitoring_source = { cidrs = ["0.0.0.0/0"] }
  }
  expect_failures = [var.monitoring_source]
}

run "a_drain_that_health_checks_do_not_see" {
  command = plan
  variables {
    health_check      = { interval = 30, threshold = 3 }
    lame_duck_seconds = 45
  }
  expect_failures = [var.lame_duck_seconds]
}

run "an_interval_that_there_is_not" {
  command = plan
  variables {
    health_check = { interval = 15 }
  }
  expect_failures = [var.health_check]
}

run "a_grace_longer_than_the_accelerators_patience" {
  command = plan
  variables {
    grace_seconds = 400
  }
  expect_failures = [var.grace_seconds]
}

run "a_package_by_http" {
  command = plan
  variables {
    artifact = {
      url    = "http://downloads.example.com/hostquorum.deb"
      sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
    }
  }
  expect_failures = [var.artifact]
}

run "a_package_that_could_be_any" {
  command = plan
  variables {
    artifact = { url = "https://downloads.example.com/hostquorum.deb", sha256 = "" }
  }
  expect_failures = [var.artifact]
}

run "a_port_twice" {
  command = plan
  variables {
    ports = { health = 8443 }
  }
  expect_failures = [var.ports]
}

run "a_balancer_without_subnets" {
  command = plan
  variables {
    entry = "nlb"
  }
  expect_failures = [var.nlb_subnet_ids]
}

run "a_section_twice" {
  command = plan
  variables {
    extra_config = "[edge]\nconnections = 1"
  }
  expect_failures = [var.extra_config]
}
