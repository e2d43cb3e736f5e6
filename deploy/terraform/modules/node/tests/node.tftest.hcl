# One machine: what it is made of, what it may and what it is told.

mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_resource "aws_ebs_volume" {
    defaults = { id = "vol-0123" }
  }
}

variables {
  cluster            = "edge"
  node               = "a"
  role               = "voter"
  subnet_id          = "subnet-a"
  availability_zone  = "us-east-1a"
  private_ip         = "10.0.1.10"
  security_group_ids = ["sg-1"]
  ami_id             = "ami-1"
  instance_type      = "c7g.large"
  volume_key_arn     = "arn:aws:kms:us-east-1:123456789012:key/1"
  secrets            = { region = "us-east-1", kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/1" }
  artifact = {
    url    = "https://downloads.example.com/hostquorum.deb"
    sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
  }
}

run "the_machine" {
  assert {
    condition     = one(aws_instance.this.metadata_options).http_tokens == "required" && one(aws_instance.this.metadata_options).http_put_response_hop_limit == 1
    error_message = "Credentials are given to requests with a token, and only on the machine."
  }
  assert {
    condition     = aws_ebs_volume.data.encrypted && aws_ebs_volume.data.final_snapshot && aws_ebs_volume.data.type == "gp3"
    error_message = "Data is encrypted, and what is deleted can be had back."
  }
  assert {
    condition     = one(aws_instance.this.root_block_device).encrypted
    error_message = "The root volume is encrypted."
  }
  assert {
    condition     = one(aws_instance.this.primary_network_interface).network_interface_id == aws_network_interface.this.id
    error_message = "The address outlives the instance."
  }
  assert {
    condition     = one(aws_instance.this.maintenance_options).auto_recovery == "default"
    error_message = "AWS moves the instance off a failed host."
  }
  assert {
    condition     = aws_network_interface.this.private_ips == toset(["10.0.1.10"])
    error_message = "The address is the one that was asked for."
  }
  assert {
    condition     = aws_instance.this.tags["hostquorum:node"] == "a" && aws_instance.this.tags["hostquorum:cluster"] == "edge"
    error_message = "The machine says who it is."
  }
}

run "what_a_voter_may" {
  assert {
    condition     = toset(flatten([for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Action if statement.Effect == "Allow"])) == toset(["ssm:GetParameter", "ssm:PutParameter", "ssm:DeleteParameter", "kms:Decrypt", "kms:Encrypt", "ec2:DescribeInstances"])
    error_message = "These actions and no others."
  }
  assert {
    condition     = alltrue([for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : can(statement.Condition.StringEquals) if length(regexall("kms:", jsonencode(statement.Action))) > 0])
    error_message = "The key is used under a condition only."
  }
  assert {
    condition     = one([for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : "${statement.Condition.StringEquals["kms:EncryptionContext:hostquorum:cluster"]} ${statement.Condition.StringEquals["kms:EncryptionContext:hostquorum:node"]}" if statement.Sid == "WrapOwnKey"]) == "edge a"
    error_message = "The daemon uses the key in its cluster's and its own context."
  }
  assert {
    condition     = one([for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : "${statement.Effect} ${statement.Condition.StringEquals["ssm:Overwrite"]}" if statement.Sid == "NeverOverwriteParameters"]) == "Deny true"
    error_message = "What is written once stays: a cluster is founded once."
  }
  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.this.policy).Statement : statement.Action if strcontains(jsonencode(statement.Resource), "\"*\"")] == ["ec2:DescribeInstances"]
    error_message = "Nothing is allowed on everything but to see machines, which EC2 bounds by nothing."
  }
}

run "what_a_learner_may_not" {
  variables {
    role = "learner"
  }

  assert {
    condition     = !strcontains(aws_iam_role_policy.this.policy, "invitation") && !strcontains(aws_iam_role_policy.this.policy, "DeleteParameter") && !strcontains(aws_iam_role_policy.this.policy, "ec2:")
    error_message = "A learner neither founds nor invites, nor reads others' invitations, nor sees machines."
  }
  assert {
    condition     = !strcontains(yamldecode(output.user_data).write_files[0].content, "join")
    error_message = "A learner comes by invitation, once all voters are there."
  }
}

run "what_it_is_told" {
  assert {
    condition     = strcontains(yamldecode(output.user_data).write_files[0].content, "name = \"a\"") && strcontains(yamldecode(output.user_data).write_files[0].content, "lame_duck = \"45s\"")
    error_message = "The configuration is this node's."
  }
  assert {
    condition     = strcontains(yamldecode(output.user_data).write_files[0].content, "kms = \"arn:aws:kms:us-east-1:123456789012:key/1\"") && strcontains(yamldecode(output.user_data).write_files[0].content, "cluster = \"edge\"")
    error_message = "KMS wraps its key, in the context that its role may use."
  }
  assert {
    condition     = strcontains(yamldecode(output.user_data).write_files[2].content, "TimeoutStopSec=420")
    error_message = "systemd waits for lame duck and grace."
  }
  assert {
    condition     = strcontains(yamldecode(output.user_data).write_files[3].content, "vol0123 /var/lib/hostquorum ")
    error_message = "The data volume is found by its id."
  }
  assert {
    condition     = yamldecode(output.user_data).runcmd[2][3] == "0000000000000000000000000000000000000000000000000000000000000000"
    error_message = "The package is held against its digest."
  }
}
